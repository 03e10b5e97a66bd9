"""Chat on a real cell: over HTTP and over the hub, live and read again, with people who may not and text that should not."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from cells.log import connection
from realtime.client import CommandRefused, RealtimeClient, Update
from realtime.events import Ack, Act, Done, Join, PageRequest, Read, Refused, Say
from realtime.source_nats import NatsSource
from tests.integration.conftest import Cell, Person

PRICE = {"amount": 1000, "currency": "EUR"}
SECONDS = 10
TABLES = ("feed", "chat_events", "conversations")


class Market:
    """A merchant with a product and an open sale, and two buyers."""

    def __init__(self, cell: Cell, merchant: Person, buyer: Person, other: Person) -> None:
        self.cell, self.merchant, self.buyer, self.other = cell, merchant, buyer, other
        self.product = self.sale = ""

    async def open(self) -> None:
        product = {"title": "Sneaker", "price": PRICE, "stock": 5}
        self.product = ok(await self.merchant.ask("POST", "/api/v1/products", json=product))["id"]
        sale = {
            "product_id": self.product,
            "title": "Drop",
            "price": PRICE,
            "stock": 5,
            "per_buyer_limit": 3,
            "hold_seconds": 60,
        }
        self.sale = ok(await self.merchant.ask("POST", "/api/v1/sales", json=sale))["id"]
        for step in ("arm", "open"):
            ok(await self.merchant.ask("POST", f"/api/v1/sales/{self.sale}/{step}", json={}))

    async def conversation(self, **how: Any) -> dict[str, Any]:
        about = {"product_id": self.product, **how}
        opened: dict[str, Any] = ok(await self.buyer.ask("POST", "/api/v1/conversations", json=about))
        return opened

    async def say(self, who: Person, where: str, text: str, key: str = "") -> httpx.Response:
        headers = {"idempotency-key": key} if key else {}
        return await who.ask("POST", f"/api/v1/{where}/messages", json={"text": text}, headers=headers)

    async def moderate(self, who: Person, **action: Any) -> httpx.Response:
        return await who.ask("POST", f"/api/v1/rooms/{self.sale}/moderate", json=action)

    async def messages(self, who: Person, where: str, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ok(await who.ask("GET", f"/api/v1/{where}/messages{query}"))["items"]
        return found

    @contextlib.asynccontextmanager
    async def online(self, who: Person | None = None) -> AsyncIterator["Reader"]:
        token = None if who is None else _token_of(who)
        async with RealtimeClient(self.cell.config.public_realtime, token=token) as client:
            reader = Reader(client)
            task = asyncio.create_task(reader.run())
            yield reader
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _token_of(who: Person) -> Any:
    async def token() -> str:
        return str(who.session["access_token"])

    return token


class Reader:
    """Reads everything that a client is told."""

    def __init__(self, client: RealtimeClient) -> None:
        self.client = client
        self.told: list[Update] = []
        self._grown = asyncio.Event()

    async def run(self) -> None:
        async for update in self.client.updates():
            if update.t != "snapshot":
                self.told.append(update)
                self._grown.set()

    def of(self, *kinds: str) -> list[Update]:
        return [update for update in self.told if update.t in kinds]

    async def until(self, count: int, *kinds: str) -> list[Update]:
        async with asyncio.timeout(SECONDS):
            while len(self.of(*kinds)) < count:
                self._grown.clear()
                await self._grown.wait()
        return self.of(*kinds)


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def refused(answer: httpx.Response) -> str:
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["code"])


@pytest.fixture
async def market(cell: Cell, register: Any) -> Market:
    market = Market(
        cell,
        await register("merchant", display_name="Shop"),
        await register("buyer", display_name="Bea"),
        await register("buyer", display_name="Otto"),
    )
    await market.open()
    return market


class TestConversations:
    async def test_both_sides_talk_and_what_was_live_is_what_is_read_again(self, market: Market) -> None:
        cnv = (await market.conversation())["id"]
        channel = f"chat:{cnv}"
        async with market.online(market.buyer) as bea, market.online(market.merchant) as shop:
            await bea.client.sub(channel)
            await shop.client.sub(channel)
            first = await bea.client.msg(channel, "Is it still there?", key="k1")
            assert await bea.client.msg(channel, "Is it still there?", key="k1") == first
            second = await shop.client.msg(channel, "Yes.")
            by_rest = ok(await market.say(market.buyer, f"conversations/{cnv}", "Good.", "k2"))
            heard = [await reader.until(3, "msg") for reader in (bea, shop)]
            assert [update.position for update in heard[0]] == [first, second, by_rest["s"]]
            assert heard[0] == heard[1]
            read = await market.messages(market.merchant, f"conversations/{cnv}")
            assert [{"s": u.position, **u.value} for u in heard[0]] == read
            history = await shop.client.history(channel)
            assert [i.s for i in history.items if i.t == "msg"] == [first, second, by_rest["s"]]

    async def test_a_conversation_is_opened_once_for_each_subject(self, market: Market) -> None:
        opened = await market.buyer.ask("POST", "/api/v1/conversations", json={"product_id": market.product})
        again = await market.buyer.ask("POST", "/api/v1/conversations", json={"product_id": market.product})
        about_sale = await market.buyer.ask("POST", "/api/v1/conversations", json={"sale_id": market.sale})
        merchant = {"merchant_id": market.merchant.user["id"]}
        about_nothing = await market.buyer.ask("POST", "/api/v1/conversations", json=merchant)
        assert [a.status_code for a in (opened, again, about_sale, about_nothing)] == [201, 200, 201, 201]
        ids = {ok(a)["id"] for a in (opened, again, about_sale, about_nothing)}
        assert len(ids) == 3

    async def test_an_order_is_talked_about_from_both_sides(self, market: Market) -> None:
        key = {"idempotency-key": os.urandom(4).hex()}
        path = f"/api/v1/sales/{market.sale}/holds"
        hold = ok(await market.buyer.ask("POST", path, json={"quantity": 1}, headers=key))
        path = f"/api/v1/holds/{hold['hold_id']}/confirm"
        order = ok(await market.buyer.ask("POST", path, json={"payment_method": "pm_ok"}, headers=key))
        about = {"order_id": order["id"]}
        opened = ok(
            await market.merchant.ask("POST", "/api/v1/conversations", json={**about, "text": "Sent."})
        )
        found = ok(await market.buyer.ask("POST", "/api/v1/conversations", json=about))
        assert opened["id"] == found["id"]
        assert opened["message"]["author"]["role"] == "merchant"
        stranger = await market.other.ask("POST", "/api/v1/conversations", json=about)
        assert refused(stranger) == "not_found"

    async def test_a_first_message_sent_again_is_the_same_answer(self, market: Market) -> None:
        body = {"product_id": market.product, "text": "Hello"}
        key = {"idempotency-key": os.urandom(4).hex()}
        first = await market.buyer.ask("POST", "/api/v1/conversations", json=body, headers=key)
        again = await market.buyer.ask("POST", "/api/v1/conversations", json=body, headers=key)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        assert len(await market.messages(market.buyer, f"conversations/{first.json()['id']}")) == 1

    async def test_to_others_it_does_not_exist(self, market: Market, register: Any) -> None:
        cnv = (await market.conversation(text="secret"))["id"]
        rival = await register("merchant")
        for who in (market.other, rival):
            path = f"/api/v1/conversations/{cnv}"
            assert refused(await who.ask("GET", f"{path}/messages")) == "not_found"
            assert refused(await who.ask("POST", f"{path}/messages", json={"text": "x"})) == "not_found"
            assert refused(await who.ask("POST", f"{path}/read", json={"s": 0})) == "not_found"
            assert refused(await who.ask("POST", f"{path}/moderate", json={"action": "lock"})) == "not_found"
            assert ok(await who.ask("GET", "/api/v1/conversations"))["items"] == []
            async with market.online(who) as reader:
                with pytest.raises(CommandRefused) as caught:
                    await reader.client.sub(f"chat:{cnv}")
                assert caught.value.code == "not_found"
        async with market.online() as reader:
            with pytest.raises(CommandRefused):
                await reader.client.sub(f"chat:{cnv}")

    async def test_unread_counts_and_receipts(self, market: Market) -> None:
        cnv = (await market.conversation(text="one"))["id"]
        two = ok(await market.say(market.buyer, f"conversations/{cnv}", "two"))
        path = f"/api/v1/conversations?after={two['s'] // 1024}"
        (shown,) = ok(await market.merchant.ask("GET", path))["items"]
        assert (shown["unread"], shown["last"]["text"], shown["buyer_name"]) == (2, "two", "Bea")
        (own,) = ok(await market.buyer.ask("GET", path))["items"]
        assert own["unread"] == 0
        async with market.online(market.buyer) as bea, market.online(market.merchant) as shop:
            await bea.client.sub(f"chat:{cnv}")
            await bea.client.sub("me")
            await shop.client.sub("me")
            await shop.client.sub(f"chat:{cnv}")
            assert await shop.client.ack(f"chat:{cnv}", two["s"]) == two["s"]
            moved = await market.merchant.ask(
                "POST", f"/api/v1/conversations/{cnv}/read", json={"s": two["s"]}
            )
            assert ok(moved) == {"delivered": two["s"], "read": two["s"]}
            (receipt,) = await bea.until(1, "read")
            assert receipt.value == {"user": market.merchant.user["id"], "s": two["s"]}
            (news,) = await shop.until(1, "unread")
            assert news.value == {"conversation_id": cnv, "unread": 0}
            assert await shop.client.read(f"chat:{cnv}", 0) == two["s"]

    async def test_receipts_do_not_flood_the_log(self, market: Market) -> None:
        cnv = (await market.conversation())["id"]
        said = [ok(await market.say(market.buyer, f"conversations/{cnv}", f"m{n}"))["s"] for n in range(20)]
        async with market.online(market.buyer) as bea, market.online(market.merchant) as shop:
            await bea.client.sub(f"chat:{cnv}")
            await shop.client.sub(f"chat:{cnv}")
            for s in said:
                assert await shop.client.ack(f"chat:{cnv}", s) == s
            async with asyncio.timeout(SECONDS):
                while [u.value["s"] for u in bea.of("delivered")][-1:] != [said[-1]]:
                    await bea.until(len(bea.of("delivered")) + 1, "delivered")
            assert len(bea.of("delivered")) <= 4

    async def test_lists_are_paged_by_newest_activity(self, market: Market) -> None:
        first = (await market.conversation(text="a"))["id"]
        body = {"sale_id": market.sale, "text": "b"}
        second = ok(await market.buyer.ask("POST", "/api/v1/conversations", json=body))["id"]
        last = ok(await market.say(market.buyer, f"conversations/{first}", "c"))
        query = f"limit=1&after={last['s'] // 1024}"
        page = ok(await market.buyer.ask("GET", f"/api/v1/conversations?{query}"))
        rest = ok(await market.buyer.ask("GET", f"/api/v1/conversations?limit=1&cursor={page['next']}"))
        assert [page["items"][0]["id"], rest["items"][0]["id"], rest["next"]] == [first, second, None]

    async def test_pages_of_messages_are_whole_while_the_tables_lag(self, market: Market) -> None:
        cnv = (await market.conversation())["id"]
        said = [ok(await market.say(market.buyer, f"conversations/{cnv}", f"m{n}"))["s"] for n in range(25)]
        found: list[int] = []
        before = ""
        while True:
            path = f"/api/v1/conversations/{cnv}/messages?limit=10{before}"
            page = ok(await market.merchant.ask("GET", path))
            found = [item["s"] for item in page["items"]] + found
            if page["next"] is None:
                break
            before = f"&before={page['next']}"
        assert found == said


class TestRooms:
    async def test_anybody_reads_and_accounts_write(self, market: Market) -> None:
        room, where = f"room:{market.sale}", f"rooms/{market.sale}"
        async with market.online() as nobody, market.online(market.other) as otto:
            await nobody.client.sub(room)
            await otto.client.sub(room)
            s = await otto.client.msg(room, "hi all")
            (heard,) = await nobody.until(1, "msg")
            assert (heard.position, heard.value["author"]["name"]) == (s, "Otto")
            with pytest.raises(CommandRefused):
                await nobody.client.msg(room, "me too")
        answer = await market.buyer.api.get(f"/api/v1/{where}/messages")
        assert [m["text"] for m in ok(answer)["items"]] == ["hi all"]
        anonymous = await market.buyer.api.post(f"/api/v1/{where}/messages", json={"text": "x"})
        assert refused(anonymous) == "unauthenticated"

    async def test_a_deleted_message_is_gone_live_and_from_history(self, market: Market) -> None:
        room, where = f"room:{market.sale}", f"rooms/{market.sale}"
        async with market.online() as reader:
            await reader.client.sub(room)
            bad = ok(await market.say(market.other, where, "buy my coin"))
            assert ok(
                await market.moderate(market.merchant, action="delete", target=bad["id"], reason="spam")
            )
            (gone,) = await reader.until(1, "deleted")
            assert gone.value == {"id": bad["id"], "by": "merchant"}
        assert await market.messages(market.buyer, where) == []
        async with market.online() as late:
            await late.client.sub(room)
            items = (await late.client.history(room)).items
            assert b"coin" not in msgspec.json.encode(items)

    async def test_the_merchant_keeps_order(self, market: Market) -> None:
        where, otto = f"rooms/{market.sale}", market.other.user["id"]
        assert refused(await market.moderate(market.other, action="lock")) == "forbidden"
        ok(await market.moderate(market.merchant, action="mute", target=otto, seconds=3600, reason="noise"))
        assert refused(await market.say(market.other, where, "hm")) == "muted"
        ok(await market.moderate(market.merchant, action="unmute", target=otto))
        ok(await market.moderate(market.merchant, action="block_words", words=["scam"]))
        assert refused(await market.say(market.other, where, "what a SCAM")) == "blocked_words"
        ok(await market.moderate(market.merchant, action="slow_mode", seconds=600))
        ok(await market.say(market.other, where, "first"))
        slow = await market.say(market.other, where, "second")
        assert refused(slow) == "slow_mode"
        assert int(slow.headers["retry-after"]) > 500
        ok(await market.moderate(market.merchant, action="lock"))
        assert refused(await market.say(market.buyer, where, "hello")) == "locked"
        ok(await market.say(market.merchant, where, "quiet please"))
        ok(await market.moderate(market.merchant, action="unlock"))
        ok(await market.moderate(market.merchant, action="ban", target=otto))
        assert refused(await market.say(market.other, where, "again")) == "banned"

    @pytest.mark.parametrize(
        "action",
        (
            {"action": "mute", "target": "usr_x", "seconds": 5},
            {"action": "mute"},
            {"action": "delete", "target": "\x1b[2J"},
            {"action": "lock", "target": "x"},
            {"action": "lock", "seconds": 5},
            {"action": "slow_mode", "seconds": 3601},
            {"action": "block_words"},
            {"action": "explode"},
        ),
    )
    async def test_a_moderation_that_makes_no_sense_is_refused(
        self, market: Market, action: dict[str, Any]
    ) -> None:
        assert refused(await market.moderate(market.merchant, **action)) == "bad_request"

    async def test_the_banned_are_stopped_on_the_socket_they_have(self, market: Market) -> None:
        room = f"room:{market.sale}"
        async with market.online(market.other) as otto:
            await otto.client.sub(room)
            await otto.client.msg(room, "hi")
            ban = {"action": "ban", "target": market.other.user["id"]}
            ok(await market.moderate(market.merchant, **ban))
            with pytest.raises(CommandRefused) as caught:
                await otto.client.msg(room, "still here")
            assert caught.value.code in ("banned", "forbidden")

    async def test_operators_moderate_everywhere(self, market: Market) -> None:
        made = market.cell.titan("operator", "create", f"ops-{os.urandom(3).hex()}", "--role", "operator")
        key = next(word for word in made.stdout.split() if word.startswith("tk_"))
        cnv = (await market.conversation(text="x"))["id"]
        operator = {"authorization": f"Bearer {key}"}
        for path in (f"rooms/{market.sale}", f"conversations/{cnv}"):
            body = {"action": "lock", "reason": "an incident"}
            answer = await market.buyer.api.post(f"/api/v1/{path}/moderate", json=body, headers=operator)
            assert ok(answer) == {"changed": True}
            assert refused(await market.say(market.buyer, path, "hello")) == "locked"

    async def test_moderators_see_what_was_decided(self, market: Market) -> None:
        path, other = f"/api/v1/rooms/{market.sale}/moderation", market.other.user["id"]
        for action in (
            {"action": "block_words", "words": ["scam"]},
            {"action": "mute", "target": other, "seconds": 600},
            {"action": "ban", "target": market.buyer.user["id"]},
            {"action": "slow_mode", "seconds": 5},
        ):
            ok(await market.moderate(market.merchant, **action))

        shown = ok(await market.merchant.ask("GET", path))

        assert [account["id"] for account in shown.pop("muted")] == [other]
        assert shown == {
            "sale_id": market.sale,
            "locked": False,
            "slow_mode_seconds": 5,
            "blocked_words": ["scam"],
            "banned": [market.buyer.user["id"]],
            "more": 0,
        }
        assert refused(await market.other.ask("GET", path)) == "forbidden"

    async def test_a_sale_that_does_not_exist_has_no_room(self, market: Market) -> None:
        nowhere = f"/api/v1/rooms/{market.sale[:-1]}{'0' if market.sale[-1] != '0' else '1'}/messages"
        assert refused(await market.buyer.ask("GET", nowhere)) == "not_found"
        assert refused(await market.buyer.ask("GET", "/api/v1/rooms/sal_x/messages")) == "not_found"


@contextlib.asynccontextmanager
async def source(cell: Cell) -> AsyncIterator[NatsSource]:
    """What a hub asks with."""
    client = await connection.connect(cell.config.nats_url, "test")
    try:
        yield NatsSource(client, cell.config.cell)
    finally:
        await connection.close(client)


class TestWhatHubsAsk:
    async def test_pages_go_both_ways_without_a_gap(self, market: Market) -> None:
        cnv = (await market.conversation())["id"]
        for n in range(7):
            ok(await market.say(market.buyer, f"conversations/{cnv}", f"m{n}"))
        async with source(market.cell) as hub:
            whole = await hub.page(PageRequest(f"chat:{cnv}"))
            assert [e.t for e in whole.events] == ["opened", *["msg"] * 7]
            assert [e.p for e in whole.events] == [0, *(e.s for e in whole.events[:-1])]
            assert not whole.more
            middle = whole.events[3].s
            after = await hub.page(PageRequest(f"chat:{cnv}", after=middle, limit=2))
            assert (after.events, after.more) == (whole.events[4:6], True)
            before = await hub.page(PageRequest(f"chat:{cnv}", before=middle, limit=2))
            assert (before.events, before.more) == (whole.events[1:3], True)
            join = await hub.join(Join(f"chat:{cnv}", market.buyer.user["id"], "buyer"))
            assert (join.top, join.epoch) == (whole.events[-1].s, whole.epoch)
            assert join.receipts
            ok(await market.buyer.ask("GET", f"/api/v1/conversations?after={join.top // 1024}"))
            assert await hub.tops([f"chat:{cnv}", f"room:{market.sale}"]) == [join.top, 0]

    async def test_doors(self, market: Market) -> None:
        me = market.buyer.user["id"]
        async with source(market.cell) as hub:
            asked = (
                (Join(f"me:{me}", me, "buyer"), None),
                (Join(f"me:{me}", market.other.user["id"], "buyer"), "not_found"),
                (Join(f"me:{me}"), "unauthenticated"),
                (Join(f"room:{market.sale}"), None),
            )
            for join, code in asked:
                assert (await hub.join(join)).code == code
            assert not (await hub.join(Join(f"room:{market.sale}"))).can_write

    @pytest.mark.parametrize(
        ("role", "writes", "conversation"),
        (("operator", True, None), ("admin", True, None), ("viewer", False, "not_found")),
    )
    async def test_operators_come_in_everywhere_and_write_in_rooms(
        self, market: Market, role: str, writes: Any, conversation: str | None
    ) -> None:
        cnv = (await market.conversation())["id"]
        async with source(market.cell) as hub:
            inside = await hub.join(Join(f"room:{market.sale}", "opr_1", role))
            assert (inside.code, inside.can_write) == (None, writes)
            other = await hub.join(Join(f"chat:{cnv}", "opr_1", role))
            assert (other.code, other.can_write) == (conversation, False)

    async def test_an_operator_writes_in_a_room_that_is_locked(self, market: Market) -> None:
        ok(await market.moderate(market.merchant, action="lock"))
        async with source(market.cell) as hub:
            said = Say(f"room:{market.sale}", "opr_1", "Olga", "operator", "k1", "back in a minute")
            assert isinstance(await hub.act(said), Done)
        [shown] = await market.messages(market.buyer, f"rooms/{market.sale}")
        assert shown["author"] == {"id": "opr_1", "name": "Olga", "role": "operator"}

    async def test_acts_are_answered_each_for_itself(self, market: Market) -> None:
        cnv = (await market.conversation())["id"]
        bea, otto = market.buyer.user["id"], market.other.user["id"]
        async with source(market.cell) as hub:
            acts: list[Act] = [
                Say(f"chat:{cnv}", bea, "Bea", "buyer", "k", "hello"),
                Say(f"chat:{cnv}", otto, "Otto", "buyer", "k", "hello"),
                Ack(f"room:{market.sale}", bea, 1),
                Read(f"chat:{cnv}", bea, 1 << 50),
                Say("chat:cnv_x", bea, "Bea", "buyer", "k", "hello"),
            ]
            first, *others = await asyncio.gather(*(hub.act(act) for act in acts))
            assert isinstance(first, Done)
            codes = [o.code for o in others if isinstance(o, Refused)]
            assert codes == ["not_found", "wrong_state", "bad_request", "not_found"]
            assert await hub.act(acts[0]) == first


class TestACrash:
    async def test_a_killed_writer_loses_nothing_and_says_nothing_twice(self, market: Market) -> None:
        cnv = (await market.conversation())["id"]
        channel = f"chat:{cnv}"
        async with market.online(market.buyer) as bea, market.online(market.merchant) as shop:
            await bea.client.sub(channel)
            await shop.client.sub(channel)
            killed = asyncio.create_task(asyncio.to_thread(kill_writer, market.cell))
            said: dict[int, str] = {}
            n = 0
            while not killed.done() or n < 40:
                who = (bea, shop)[n % 2]
                said[await who.client.msg(channel, f"m{n}", key=f"k{n}")] = f"m{n}"
                n += 1
            await killed
            last = await shop.client.msg(channel, "after", key="after")
            for n, (s, text) in enumerate(said.items()):
                assert await (bea, shop)[n % 2].client.msg(channel, text, key=f"k{n}") == s
            said[last] = "after"
            heard = [await reader.until(len(said), "msg") for reader in (bea, shop)]
            assert heard[0] == heard[1]
            assert {u.position: u.value["text"] for u in heard[0]} == said
            assert [u.position for u in heard[0]] == sorted(said)
        read = await market.messages(market.buyer, f"conversations/{cnv}", "?limit=30")
        assert [(m["s"], m["text"]) for m in read] == sorted(said.items())[-30:]


def kill_writer(cell: Cell) -> None:
    status = msgspec.json.decode(cell.titan("status", "--json").stdout)
    writer = next(p for p in status["cells"][0]["processes"] if p["name"] == "writer")
    os.kill(writer["pid"], signal.SIGKILL)


class TestHostileText:
    @pytest.mark.parametrize(
        ("text", "kept"),
        (
            ("<script>alert(1)</script>&amp;", "<script>alert(1)</script>&amp;"),
            ("\x1b[2J\x1b]0;owned\x07", "[2J]0;owned"),
            ("abc\u202etxt.exe", "abctxt.exe"),
            ("a\u200bb\ufeffc", "abc"),
            ("nul\x00byte", "nulbyte"),
            ("x" * 2000, "x" * 2000),
        ),
    )
    async def test_it_arrives_inert(self, market: Market, text: str, kept: str) -> None:
        cnv = (await market.conversation())["id"]
        answer = ok(await market.say(market.buyer, f"conversations/{cnv}", text))
        assert answer["text"] == kept
        assert (await market.messages(market.merchant, f"conversations/{cnv}"))[-1]["text"] == kept
        shown = ok(await market.merchant.ask("GET", f"/api/v1/conversations?after={answer['s'] // 1024}"))
        assert kept.startswith(shown["items"][0]["last"]["text"])

    @pytest.mark.parametrize("text", ("", " ", "\u202e\x00", "x" * 2001, "x" * 9000))
    async def test_nothing_and_too_much_are_refused(self, market: Market, text: str) -> None:
        cnv = (await market.conversation())["id"]
        assert refused(await market.say(market.buyer, f"conversations/{cnv}", text)) == "bad_request"

    async def test_a_key_belongs_to_one_text(self, market: Market) -> None:
        cnv = (await market.conversation())["id"]
        where = f"conversations/{cnv}"
        first = await market.say(market.buyer, where, "one", "same")
        again = await market.say(market.buyer, where, "one", "same")
        assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
        assert refused(await market.say(market.buyer, where, "two", "same")) == "key_reused"
        assert ok(await market.say(market.merchant, where, "two", "same"))["s"] > first.json()["s"]


class TestTheFeed:
    async def test_a_buyer_and_a_merchant_hear_what_concerns_them(self, market: Market) -> None:
        opened = ok(await market.buyer.ask("GET", f"/api/v1/sales/{market.sale}"))
        # What happened before is told before: it is not news to those who come now.
        ok(await market.buyer.ask("GET", f"/api/v1/sales?after={opened['position']}"))
        async with market.online(market.buyer) as bea, market.online(market.merchant) as shop:
            await bea.client.sub("me")
            await shop.client.sub("me")
            path = f"/api/v1/sales/{market.sale}/holds"
            key = {"idempotency-key": os.urandom(4).hex()}
            hold = ok(await market.buyer.ask("POST", path, json={"quantity": 2}, headers=key))
            confirm = f"/api/v1/holds/{hold['hold_id']}/confirm"
            order = ok(await market.buyer.ask("POST", confirm, json={"payment_method": "pm_ok"}, headers=key))
            ok(await market.merchant.ask("POST", f"/api/v1/sales/{market.sale}/pause", json={}))
            holds = await bea.until(2, "hold")
            assert [h.value["status"] for h in holds] == ["held", "confirmed"]
            (bought,), (sold,) = await bea.until(1, "order"), await shop.until(1, "order")
            assert bought.value == sold.value
            assert (sold.value["order_id"], sold.value["total"]["amount"]) == (order["id"], 2000)
            (paid,) = await bea.until(1, "payment")
            assert paid.value["status"] == "captured"
            (paused,) = await shop.until(1, "sale")
            assert paused.value == {"sale_id": market.sale, "state": "paused", "reason": ""}
            history = (await bea.client.history("me")).items
            assert [i.s for i in history] == [u.position for u in bea.of("hold", "order", "payment")]

    async def test_a_killed_sale_tells_those_whose_holds_it_ended(self, market: Market) -> None:
        async with market.online(market.buyer) as bea:
            await bea.client.sub("me")
            path = f"/api/v1/sales/{market.sale}/holds"
            keys = [{"idempotency-key": os.urandom(4).hex()} for _ in range(2)]
            holds = [
                ok(await market.buyer.ask("POST", path, json={"quantity": 1}, headers=k))["hold_id"]
                for k in keys
            ]
            await market.buyer.ask("DELETE", f"/api/v1/holds/{holds[0]}")
            ok(await market.merchant.ask("POST", f"/api/v1/sales/{market.sale}/kill", json={"reason": "x"}))
            told = await bea.until(4, "hold")
            released = [u.value["hold_id"] for u in told if u.value["status"] == "released"]
            assert released == holds

    async def test_a_rebuild_gives_the_same_rows(self, market: Market) -> None:
        cnv = (await market.conversation(text="hello"))["id"]
        bad = ok(await market.say(market.merchant, f"conversations/{cnv}", "oops"))
        path = f"/api/v1/conversations/{cnv}/moderate"
        ok(await market.merchant.ask("POST", path, json={"action": "delete", "target": bad["id"]}))
        last = ok(await market.say(market.buyer, f"conversations/{cnv}", "what?"))
        ok(await market.buyer.ask("GET", f"/api/v1/conversations?after={last['s'] // 1024}"))
        before = await dump(market.cell)
        for name in ("feed", "all"):
            rebuilt = market.cell.titan("projection", "rebuild", name)
            assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
            after = await dump(market.cell)
            assert before == after
        assert all(before.values())


async def dump(cell: Cell) -> dict[str, list[tuple[Any, ...]]]:
    connection = await asyncpg.connect(cell.config.database_url)
    try:
        found = {}
        for table in TABLES:
            found[table] = sorted(tuple(row) for row in await connection.fetch(f"SELECT * FROM {table}"))  # noqa: S608 - names of this file
        return found
    finally:
        await connection.close()
