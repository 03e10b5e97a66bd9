"""Log channels over real sockets and a real nats-server: said once, seen once, by those who may."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from realtime.client import CommandRefused, Disconnected, RealtimeClient, Update
from realtime.client_channels import Place
from realtime.codes import CloseCode
from realtime.desk import DeskSettings
from realtime.events import AccessChanged
from realtime.session import Limits
from realtime.shell_ws import Settings
from tests.integration.hub_cell import (
    ORIGIN,
    SOON,
    Cell,
    as_,
    ask,
    close_code,
    dial,
    greeted,
    hear,
    people,
    say,
)
from tests.integration.nats_process import NatsProcess, eventually
from tests.unit.realtime.builders import CHAT, ROOM

DESK = DeskSettings("hub-1", Limits(rates=False))


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[NatsProcess]:
    async with NatsProcess(tmp_path) as process:
        yield process


@pytest.fixture
async def cell(server) -> AsyncIterator[Cell]:
    async with Cell(server.url, Settings(frozenset({ORIGIN})), DESK, people()) as running:
        yield running


async def texts(client: RealtimeClient, count: int) -> list[str]:
    """The next messages, of which there must be `count`."""
    found: list[str] = []
    async with asyncio.timeout(SOON):
        async for update in client.updates():
            if update.t == "msg":
                found.append(update.value["text"])
            if len(found) == count:
                break
    return found


async def next_of(client: RealtimeClient, kind: str) -> Update:
    async with asyncio.timeout(SOON):
        async for update in client.updates():
            if update.t == kind:
                return update
    raise AssertionError(kind)


# --- saying ---


async def test_what_is_said_reaches_everybody_in_order_and_is_answered_with_its_position(cell):
    async with as_(cell, "ada") as ada, as_(cell, "bob") as bob, as_(cell) as nobody:
        for each in (ada, bob, nobody):
            await each.sub(ROOM)
        places = [await ada.msg(ROOM, f"m{i}") for i in range(5)]

        assert places == [10, 20, 30, 40, 50]
        for each in (ada, bob, nobody):
            assert await texts(each, 5) == ["m0", "m1", "m2", "m3", "m4"]
            assert each.gaps == 0


async def test_the_same_key_is_the_same_message(cell):
    async with as_(cell, "ada") as ada:
        await ada.sub(ROOM)
        first = await ada.msg(ROOM, "once", key="k1")
        again = await ada.msg(ROOM, "once", key="k1")

        assert again == first
        assert len(cell.feature.memory.channel(ROOM).events) == 1


async def test_a_message_without_a_key_is_a_bad_request(cell):
    client = await greeted(cell, {"token": "ada"})
    n = (await ask(client, "sub", {"ch": ROOM}, 2))["d"]["n"]

    assert (await ask(client, "msg", {"n": n, "text": "x"}, 3))["e"]["code"] == "bad_request"
    assert (await ask(client, "msg", {"n": n + 1, "text": "x"}, 4, k="k"))["e"]["code"] == "not_found"
    await client.close()


async def test_nobody_in_particular_may_read_a_room_and_not_write(cell):
    client = await greeted(cell)
    n = (await ask(client, "sub", {"ch": ROOM}, 2))["d"]["n"]

    assert (await ask(client, "msg", {"n": n, "text": "x"}, 3, k="k"))["e"]["code"] == "unauthenticated"
    for channel in (CHAT, "me"):
        assert (await ask(client, "sub", {"ch": channel}, 4))["e"]["code"] == "unauthenticated"
    await client.close()


async def test_who_was_denied_is_told_why(cell):
    cell.feature.memory.denied[CHAT, "usr_bob"] = "forbidden"
    async with as_(cell, "bob") as bob:
        with pytest.raises(CommandRefused, match="forbidden"):
            await bob.sub(CHAT)


async def test_a_feature_that_cannot_answer_yet_is_asked_again(cell):
    async with as_(cell, "ada") as ada:
        await ada.sub(ROOM)
        cell.feature.quiet = True
        saying = asyncio.create_task(ada.msg(ROOM, "late"))
        await asyncio.wait({saying}, timeout=0.3)
        cell.feature.quiet = False

        assert await saying == 10


async def test_without_a_feature_a_channel_is_unavailable_for_now(cell):
    cell.feature.quiet = True
    client = await greeted(cell, {"token": "ada"})

    assert (await ask(client, "sub", {"ch": ROOM}, 2))["e"] == {"code": "unavailable", "temp": True}
    cell.feature.quiet = False
    assert "d" in await ask(client, "sub", {"ch": ROOM}, 3)
    await client.close()


# --- resuming ---


async def test_a_hello_resumes_all_channels_in_one_reply_and_the_missed_events_follow(cell):
    memory = cell.feature.memory
    for i in range(450):
        memory.put(ROOM, "msg", json.dumps({"text": f"r{i}"}).encode())
    for i in range(3):
        memory.put(CHAT, "msg", json.dumps({"text": f"c{i}"}).encode())
    client = await dial(cell)
    resume = [[ROOM, "e1", 100], [CHAT, "e1", 10], ["me", "e1", 0]]
    await say(client, "hello", {"token": "ada", "resume": resume})
    welcome = await hear(client)
    channels = welcome["d"]["channels"]

    assert {name: state["top"] for name, state in channels.items()} == {ROOM: 4500, CHAT: 30, "me": 0}
    last = {channels[ROOM]["n"]: 100, channels[CHAT]["n"]: 10}
    while last != {channels[ROOM]["n"]: 4500, channels[CHAT]["n"]: 30}:
        frame = await hear(client)
        for event in frame if isinstance(frame, list) else [frame]:
            if "s" in event:
                assert event["p"] == last[event["n"]]
                last[event["n"]] = event["s"]
    await client.close()


async def test_live_events_follow_what_was_missed_while_many_pages_are_read(cell):
    memory = cell.feature.memory
    for i in range(1_000):
        memory.put(ROOM, "msg", json.dumps({"text": f"m{i}"}).encode())
    async with as_(cell) as client:
        client._places.by_name[ROOM] = _place(0)
        subscribing = asyncio.create_task(client.sub(ROOM))
        for i in range(1_000, 1_200):
            memory.put(ROOM, "msg", json.dumps({"text": f"m{i}"}).encode())
            await asyncio.sleep(0)
        await subscribing

        assert await texts(client, 1_200) == [f"m{i}" for i in range(1_200)]
        assert client.gaps == 0


def _place(last: int) -> Place:
    return Place(0, "e1", last)


@pytest.mark.parametrize("since", (5, 999_990), ids=("between positions", "beyond the top"))
async def test_a_place_that_is_none_is_reset(cell, since):
    for _ in range(300):
        cell.feature.memory.put(ROOM, "msg", b'{"text":"x"}')
    client = await greeted(cell)
    reply = (await ask(client, "sub", {"ch": ROOM, "epoch": "e1", "since": since}, 2))["d"]

    assert (reply["top"], reply["reset"]) == (3000, True)
    await client.close()


async def test_another_epoch_is_reset_too(cell):
    cell.feature.memory.put(ROOM, "msg", b'{"text":"x"}')
    async with as_(cell) as client:
        client._places.by_name[ROOM] = _place(10)
        client._places.by_name[ROOM].epoch = "e0"
        await client.sub(ROOM)

        assert (await next_of(client, "reset")).reset


async def test_a_thousand_resumes_of_one_place_read_it_once(cell):
    memory = cell.feature.memory
    for i in range(300):
        memory.put(ROOM, "msg", json.dumps({"text": f"m{i}"}).encode())
    clients = [as_(cell) for _ in range(50)]
    for each in clients:
        each._places.by_name[ROOM] = _place(0)
    await asyncio.gather(*(each.__aenter__() for each in clients))
    await asyncio.gather(*(texts(each, 300) for each in clients))
    await asyncio.gather(*(each.__aexit__(None, None, None) for each in clients))

    assert memory.pages <= 6
    assert memory.joins == 1


# --- history and cursors ---


async def test_history_goes_back_page_by_page_to_the_first_event(cell):
    for i in range(320):
        cell.feature.memory.put(ROOM, "msg", json.dumps({"text": f"m{i}"}).encode())
    async with as_(cell) as client:
        await client.sub(ROOM)
        found: list[str] = []
        before = None
        more = True
        while more:
            page = await client.history(ROOM, before, 100)
            found = [item.d["text"] for item in page.items] + found
            before, more = page.items[0].s, page.more

        assert found == [f"m{i}" for i in range(320)]


async def test_history_is_limited_to_100(cell):
    client = await greeted(cell)
    n = (await ask(client, "sub", {"ch": ROOM}, 2))["d"]["n"]

    assert (await ask(client, "history", {"n": n, "limit": 101}, 3))["e"]["code"] == "bad_request"
    assert (await ask(client, "history", {"n": n, "limit": 100}, 4))["d"] == {"items": [], "more": False}
    await client.close()


async def test_cursors_only_rise_and_stay_behind_the_newest_event(cell):
    async with as_(cell, "ada") as ada:
        await ada.sub(CHAT)
        for text in "abc":
            await ada.msg(CHAT, text)
        await texts(ada, 3)

        assert await ada.ack(CHAT, 20) == 20
        assert await ada.ack(CHAT, 10) == 20
        assert await ada.ack(CHAT, 9_999) == 30
        assert await ada.read(CHAT, 10) == 10


async def test_cursors_of_a_room_mean_nothing_and_cost_nothing(cell):
    async with as_(cell, "ada") as ada:
        await ada.sub(ROOM)
        await ada.msg(ROOM, "x")
        asked = cell.feature.acts

        assert await ada.read(ROOM, 10) == 10
        assert cell.feature.acts == asked


# --- what counts only now ---


async def test_typing_is_seen_by_the_other_side_only(cell):
    async with as_(cell, "ada") as ada, as_(cell, "bob") as bob:
        await ada.sub(CHAT)
        await bob.sub(CHAT)
        await ada.typing(CHAT)
        seen = await next_of(bob, "typing")

        assert seen.value == {"user": "usr_ada", "ttl_ms": 5000}
        await ada.sub(ROOM)
        with pytest.raises(CommandRefused, match="wrong_state"):
            await ada.typing(ROOM)
        assert not [each for each in ada._inbox._log if each.t == "typing"]


async def test_presence_tells_how_many_in_a_room_and_who_in_a_conversation(cell):
    async with as_(cell, "ada") as ada:
        assert (await ada.sub(CHAT)).here == {"count": 1, "people": ["usr_ada"]}
        async with as_(cell, "bob") as bob:
            assert (await bob.sub(CHAT)).here == {"count": 2, "people": ["usr_ada", "usr_bob"]}
            assert (await bob.sub(ROOM)).here == {"count": 1}
            while (seen := await next_of(ada, "presence")).value["count"] != 2:
                pass
            assert seen.value["people"] == ["usr_ada", "usr_bob"]
        while (seen := await next_of(ada, "presence")).value["count"] != 1:
            pass
        assert seen.value["people"] == ["usr_ada"]


async def test_presence_counts_over_hubs_and_forgets_one_that_died(cell, server):
    other = Cell(server.url, Settings(frozenset()), DeskSettings("hub-2", Limits()), people(), hub_only=True)
    async with as_(cell, "ada") as ada:
        await ada.sub(CHAT)
        async with other, as_(other, "bob") as bob:
            await bob.sub(CHAT)
            while (await next_of(ada, "presence")).value["count"] != 2:
                pass
            for task in other._tasks:
                task.cancel()  # as if it had died: it beats no more
            while (await next_of(ada, "presence")).value["count"] != 1:
                pass


# --- being sent away ---


async def test_who_is_banned_is_taken_off_and_told_why_and_others_stay(cell):
    async with as_(cell, "ada") as ada, as_(cell, "bob") as bob:
        await ada.sub(CHAT)
        await bob.sub(CHAT)
        cell.feature.memory.change_access(AccessChanged(CHAT, "usr_bob", "banned"))
        seen = await next_of(bob, "unsub")
        await ada.msg(CHAT, "he is gone")

        assert seen.value == {"code": "banned"}
        assert await texts(ada, 1) == ["he is gone"]
        with pytest.raises(CommandRefused, match="banned"):
            await bob.sub(CHAT)


async def test_a_sign_in_that_was_ended_is_closed_and_not_let_in_again(cell):
    client = await greeted(cell, {"token": "ada"})
    cell.feature.memory.revoke("s-usr_ada", 1 << 50)

    assert await close_code(client) == CloseCode.SESSION_REVOKED
    with pytest.raises(CommandRefused, match="unauthenticated"):
        await as_(cell, "ada").__aenter__()


async def test_the_updates_of_a_client_end_with_the_error_that_stopped_it(cell, monkeypatch):
    async with as_(cell, "ada") as ada:
        await ada.sub(ROOM)

        def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(ada, "_event", broken)
        cell.feature.memory.put(ROOM, "msg", b'{"text":"x"}')
        with pytest.raises(ZeroDivisionError):
            await texts(ada, 1)


async def test_a_refused_hello_leaves_no_connection(cell):
    with pytest.raises((CommandRefused, Disconnected)):
        await as_(cell, "nonsense").__aenter__()
    await eventually(lambda: cell.connections == 0)
