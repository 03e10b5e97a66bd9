"""The operators' API on a real cell: what they see, and what their actions leave in the log."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from nats.aio.client import Client

from cells.kernel import envelope
from cells.kernel.ids import slot_in
from cells.log import connection, subjects
from cells.log.jetstream import JetStreamLog
from realtime.events import Holder, key_subject
from server.accounts import operators
from server.chat import model as chat
from server.flash_sale.model import EVENTS, SaleMoved, SaleThrottled
from tests.integration.shop import Shop, opened


@pytest.fixture(scope="module")
def shop(cell) -> Iterator[Shop]:
    with opened(cell) as shop:
        yield shop


@pytest.fixture
async def bus(cell) -> AsyncIterator[Client]:
    client = await connection.connect(cell.config.nats_url, "test")
    yield client
    await connection.close(client)


@pytest.fixture
async def log(cell) -> AsyncIterator[JetStreamLog]:
    log = await JetStreamLog.open(cell.config.nats_url, cell.data / "marks-of-tests", "test")
    yield log
    await log.close()


def see(shop: Shop, path: str, who: str = "viewer", **query: Any) -> httpx.Response:
    return shop.client.get(f"/api/v1/ops/{path}", params=query, headers=shop.headers(who))


def act(shop: Shop, path: str, body: Any = None, who: str = "operator", key: str = "") -> httpx.Response:
    headers = {**shop.headers(who), "idempotency-key": key or os.urandom(8).hex()}
    return shop.client.post(f"/api/v1/ops/{path}", json=body or {}, headers=headers)


def projected(shop: Shop) -> int:
    """Make a hold, and wait until the tables have it."""
    headers = {**shop.headers("buyer"), "idempotency-key": os.urandom(8).hex()}
    held = shop.client.post(f"/api/v1/sales/{shop.sale}/holds", json={"quantity": 1}, headers=headers).json()
    answer = shop.client.get("/api/v1/orders", params={"after": held["position"]}, headers=headers)
    assert answer.status_code == 200
    position: int = held["position"]
    return position


async def events_of(log: JetStreamLog, kind: str, key: str, registry: Any) -> list[Any]:
    subject = subjects.subject(slot_in(key), kind, key)
    return [
        event
        async for batch in log.read(subject)
        for stored in batch
        for event in envelope.decode(registry, stored.body).events
    ]


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    detail: str = answer.json()["detail"]
    return detail


class TestActing:
    async def test_a_step_is_an_event_with_who_and_why(self, shop: Shop, log: JetStreamLog) -> None:
        sale = shop.new_sale("open")
        me = see(shop, "whoami", "operator").json()

        paused = act(shop, f"sales/{sale}/pause", {"reason": "an incident", "expected_revision": 2}).json()

        assert (paused["state"], paused["revision"]) == ("paused", 3)
        assert paused["position"] > 0
        moved = [e for e in await events_of(log, "sale", sale, EVENTS) if isinstance(e, SaleMoved)][-1]
        assert (moved.state, moved.by, moved.by_name, moved.reason) == (
            "paused",
            me["id"],
            me["name"],
            "an incident",
        )

    def test_an_operator_takes_a_sale_through_all_of_its_life(self, shop: Shop) -> None:
        sale = shop.new_sale("draft")
        for step, state in (
            ("arm", "armed"),
            ("open", "open"),
            ("pause", "paused"),
            ("resume", "open"),
            ("end", "ended"),
        ):
            answer = act(shop, f"sales/{sale}/{step}", {"reason": "by hand"})
            assert (answer.status_code, answer.json()["state"]) == (200, state), answer.text
        refused(act(shop, f"sales/{sale}/kill", {"reason": "late"}), 409, "wrong_state")

    def test_in_the_shop_itself_operators_still_start_no_sale(self, shop: Shop) -> None:
        sale = shop.new_sale("draft")
        headers = shop.headers("operator")
        refused(shop.client.post(f"/api/v1/sales/{sale}/arm", json={}, headers=headers), 403, "forbidden")

    def test_who_saw_another_revision_does_nothing(self, shop: Shop) -> None:
        sale = shop.new_sale("open")
        detail = refused(act(shop, f"sales/{sale}/pause", {"expected_revision": 1}), 409, "conflict")
        assert "revision 2" in detail
        refused(
            act(shop, f"sales/{sale}/throttle", {"per_second": 5, "expected_revision": 3}), 409, "conflict"
        )
        assert shop.client.get(f"/api/v1/sales/{sale}").json()["state"] == "open"

    def test_a_repeat_is_the_same_answer_and_no_second_event(self, shop: Shop) -> None:
        sale, key = shop.new_sale("open"), os.urandom(8).hex()
        first = act(shop, f"sales/{sale}/throttle", {"per_second": 7}, key=key)
        again = act(shop, f"sales/{sale}/throttle", {"per_second": 7}, key=key)

        assert (first.status_code, first.json()["throttle"], first.json()["revision"]) == (200, 7, 3)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        refused(act(shop, f"sales/{sale}/throttle", {"per_second": 8}, key=key), 422, "key_reused")

    def test_every_action_needs_a_key(self, shop: Shop) -> None:
        for path, body in (
            (f"sales/{shop.sale}/pause", {}),
            (f"sales/{shop.sale}/kill", {"reason": "x"}),
            (f"sales/{shop.sale}/throttle", {"per_second": 1}),
            (f"rooms/{shop.sale}/moderate", {"action": "lock"}),
        ):
            answer = shop.client.post(f"/api/v1/ops/{path}", json=body, headers=shop.headers("operator"))
            refused(answer, 400, "idempotency_key_required")

    @pytest.mark.parametrize("step", ("end", "kill"))
    @pytest.mark.parametrize("body", ({}, {"reason": ""}, {"reason": "   "}, {"reason": "x" * 201}))
    def test_what_cannot_be_undone_needs_a_reason(self, shop: Shop, step: str, body: dict[str, str]) -> None:
        refused(act(shop, f"sales/{shop.sale}/{step}", body), 400, "bad_request")

    @pytest.mark.parametrize("per_second", (0, -1, 100_001, 1.5, "5", True))
    def test_a_throttle_is_a_whole_number_or_none(self, shop: Shop, per_second: Any) -> None:
        refused(act(shop, f"sales/{shop.sale}/throttle", {"per_second": per_second}), 400, "bad_request")

    async def test_a_throttled_sale_grants_so_many_and_says_when_to_come_again(
        self, shop: Shop, log: JetStreamLog
    ) -> None:
        sale, keys = shop.new_sale("open"), [os.urandom(8).hex() for _ in range(4)]
        act(shop, f"sales/{sale}/throttle", {"per_second": 1, "reason": "bots"})

        answers = [self.hold(shop, sale, key) for key in keys]

        granted = answers[0]
        assert granted.status_code == 201
        slow = next(a for a in answers if a.status_code != 201)
        assert "1 holds a second" in refused(slow, 429, "rate_limited")
        assert slow.headers["retry-after"] == "1"
        assert self.hold(shop, sale, keys[0]).json() == granted.json(), "a repeat is not throttled"
        act(shop, f"sales/{sale}/throttle", {"per_second": None})
        assert {self.hold(shop, sale, key).status_code for key in keys} == {201}
        throttles = [e for e in await events_of(log, "sale", sale, EVENTS) if isinstance(e, SaleThrottled)]
        assert [(e.per_second, e.reason) for e in throttles] == [(1, "bots"), (None, "")]

    def hold(self, shop: Shop, sale: str, key: str) -> httpx.Response:
        headers = {**shop.headers("buyer"), "idempotency-key": key}
        return shop.client.post(f"/api/v1/sales/{sale}/holds", json={"quantity": 1}, headers=headers)

    def test_a_sale_that_does_not_exist_is_not_found(self, shop: Shop) -> None:
        nowhere = shop.sale[:-1] + ("0" if shop.sale[-1] != "0" else "1")
        for sale in (nowhere, "sal_x", "x", shop.product):
            refused(act(shop, f"sales/{sale}/pause"), 404, "not_found")
            refused(act(shop, f"sales/{sale}/throttle", {"per_second": 1}), 404, "not_found")
            refused(act(shop, f"rooms/{sale}/moderate", {"action": "lock"}), 404, "not_found")


class TestRooms:
    async def test_messages_are_shown_and_moderated(self, shop: Shop, log: JetStreamLog) -> None:
        sale = shop.new_sale("open")
        for text in ("one", "<b>two</b>", "three"):
            shop.make("buyer", f"/rooms/{sale}/messages", {"text": text})

        newest = see(shop, f"rooms/{sale}/messages", limit=2).json()["items"]
        older = see(shop, f"rooms/{sale}/messages", before=newest[-1]["s"]).json()["items"]

        assert [m["text"] for m in newest + older] == ["three", "<b>two</b>", "one"]
        assert {m["user"] for m in newest} == {shop.users["buyer"]["id"]}
        assert abs(newest[0]["at"] - newest[1]["at"]) < 60_000
        delete = {"action": "delete", "target": newest[0]["id"], "reason": "spam"}
        assert act(shop, f"rooms/{sale}/moderate", delete).json() == {"changed": True}
        assert [m["text"] for m in see(shop, f"rooms/{sale}/messages").json()["items"]] == [
            "<b>two</b>",
            "one",
        ]
        deleted = (await events_of(log, chat.ROOM, sale, chat.EVENTS))[-1]
        me = see(shop, "whoami", "operator").json()
        assert deleted.by == chat.By(me["id"], "operator", "spam", me["name"])

    def test_a_repeated_mute_is_not_prolonged(self, shop: Shop) -> None:
        sale, key = shop.new_sale("open"), os.urandom(8).hex()
        mute = {"action": "mute", "target": shop.users["buyer"]["id"], "seconds": 600}
        assert act(shop, f"rooms/{sale}/moderate", mute, key=key).json() == {"changed": True}
        path, headers = f"/api/v1/rooms/{sale}/moderation", shop.headers("operator")
        until = shop.client.get(path, headers=headers).json()["muted"]

        again = act(shop, f"rooms/{sale}/moderate", mute, key=key)

        assert again.headers["idempotency-replayed"] == "true"
        assert shop.client.get(path, headers=headers).json()["muted"] == until


class TestLists:
    def test_orders_and_holds_are_found_by_whose_and_what_they_are(self, shop: Shop) -> None:
        position = projected(shop)
        buyer, order = shop.users["buyer"]["id"], shop.order
        for query in (
            {},
            {"sale": shop.sale},
            {"buyer": buyer},
            {"payment": "captured"},
            {"q": order["id"][-8:].lower()},
            {"q": order["hold_id"]},
        ):
            found = see(shop, "orders", **query).json()
            assert order["id"] in [o["id"] for o in found["items"]], query
            assert found["position"] >= position
        row = next(o for o in see(shop, "orders").json()["items"] if o["id"] == order["id"])
        assert (row["amount"], row["payment"], row["units"]) == (order["total"], "captured", order["units"])
        for query in ({"sale": "sal_x"}, {"buyer": "usr_x"}, {"payment": "voided"}, {"q": "%"}, {"q": "_x_"}):
            assert see(shop, "orders", **query).json()["items"] == [], query
        assert {h["status"] for h in see(shop, "holds", status="held").json()["items"]} == {"held"}
        assert see(shop, "holds", q=order["hold_id"]).json()["items"][0]["status"] == "confirmed"

    def test_pages_follow_one_another_without_a_gap(self, shop: Shop) -> None:
        for _ in range(4):
            projected(shop)
        whole = [h["id"] for h in see(shop, "holds", limit=100, sale=shop.sale).json()["items"]]

        walked, cursor = [], None
        while True:
            query: dict[str, str] = {"cursor": cursor} if cursor else {}
            page = see(shop, "holds", limit=2, sale=shop.sale, **query).json()
            walked += [h["id"] for h in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break

        assert walked == whole
        assert len(whole) >= 5

    def test_a_cursor_is_of_one_list(self, shop: Shop) -> None:
        projected(shop)
        cursor = see(shop, "holds", limit=1).json()["next"]
        refused(see(shop, "orders", cursor=cursor), 400, "bad_request")
        refused(see(shop, "holds", cursor="x"), 400, "bad_request")


class TestThePast:
    """What the tables say of now and what the observer folds from the log are the same."""

    def settled(self, shop: Shop, path: str, **query: Any) -> dict[str, Any]:
        """Ask until the replay is where it was asked to be."""
        for _ in range(50):
            found: dict[str, Any] = see(shop, path, **query).json()
            if found["target"] is None or found["position"] >= found["target"]:
                return found
        raise AssertionError("the replay never got there")

    @pytest.mark.parametrize(
        "query",
        ({}, {"q": "usr_"}, {"q": "7F"}, {"sale": "this"}, {"buyer": "this"}, {"sale": "sal_x"}),
    )
    def test_orders_and_holds_are_the_same_from_both(self, shop: Shop, query: dict[str, str]) -> None:
        position = projected(shop)
        mine = {"sale": shop.sale, "buyer": shop.users["buyer"]["id"]}
        asked = {name: mine[name] if value == "this" else value for name, value in query.items()}
        for path in ("orders", "holds"):
            now = see(shop, path, limit=100, **asked).json()
            then = self.settled(shop, path, limit=100, position=now["position"], **asked)

            assert now["position"] >= position
            assert then["items"] == now["items"], path

    def test_an_action_is_seen_in_the_sale_and_not_before_it_was_taken(self, shop: Shop) -> None:
        sale, me = shop.new_sale("open"), see(shop, "whoami", "operator").json()
        before = see(shop, f"sales/{sale}").json()
        taken = act(
            shop, f"sales/{sale}/throttle", {"per_second": 9, "reason": "bots", "expected_revision": 2}
        ).json()

        then = self.settled(shop, f"sales/{sale}", position=taken["position"])
        past = self.settled(shop, f"sales/{sale}", position=taken["position"] - 1)

        assert (then["sale"]["throttle"], then["sale"]["revision"]) == (9, taken["revision"])
        newest = then["moves"][0]
        assert (newest["what"], newest["throttle"], newest["by"], newest["name"], newest["reason"]) == (
            "throttle",
            9,
            me["id"],
            me["name"],
            "bots",
        )
        assert (past["sale"]["throttle"], past["sale"]["revision"]) == (None, before["sale"]["revision"])


class TestKeys:
    async def test_hubs_learn_whose_a_key_is(self, cell, shop: Shop, bus: Client) -> None:
        async def holder(key: bytes) -> Holder | None:
            answer = await bus.request(key_subject(cell.config.cell), key, 2.0)
            return msgspec.msgpack.decode(answer.data, type=Holder | None)

        me = see(shop, "whoami", "admin").json()
        assert await holder(shop.tokens["admin"].encode()) == Holder(me["id"], "admin", me["name"])
        for key in (b"", b"tk_\xff", shop.tokens["buyer"].encode(), shop.tokens["admin"].encode() + b"x"):
            assert await holder(key) is None

    async def test_admins_see_who_has_a_key_and_end_keys(self, shop: Shop, log: JetStreamLog) -> None:
        name = shop.operator("operator", "leaving")
        me = see(shop, "whoami", "admin").json()
        listed = see(shop, "operators", "admin").json()["items"]
        assert [(o["name"], o["role"]) for o in listed if o["name"] in (name, me["name"])] == [
            (me["name"], "admin"),
            (name, "operator"),
        ]
        assert set(listed[0]) == {"id", "name", "role", "created_at"}

        path, headers = f"/api/v1/ops/operators/{name}", shop.headers("admin")
        assert shop.client.delete(path, headers=headers).status_code == 204

        refused(shop.client.delete(path, headers=headers), 404, "not_found")
        refused(shop.client.delete(f"{path}!", headers=headers), 404, "not_found")
        assert name not in [o["name"] for o in see(shop, "operators", "admin").json()["items"]]
        slot, key = operators.place_of(name)
        stored = await log.last(subjects.subject(slot, operators.KIND, key))
        assert stored is not None
        (revoked,) = envelope.decode(operators.DECIDER.registry, stored.body).events
        assert (revoked.by, revoked.by_name) == (me["id"], me["name"])
