"""Webhooks and push on a real cell, sent to a real endpoint of the test."""

import asyncio
import hashlib
import hmac
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Cell, Person, running_cell
from tests.unit.server.notify.browser import Browser
from tests.unit.server.notify.receiver import Receiver, Request, receiver, status

PRICE = {"amount": 1000, "currency": "EUR"}
SECONDS = 20


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    """A cell that may reach this machine."""
    with running_cell({"TITAN_WEBHOOKS_ALLOW_LOOPBACK": "on"}) as running:
        yield running


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code < 300, answer.text
    return answer.json()


class Market:
    """A merchant with an open sale, and a buyer."""

    def __init__(self, merchant: Person, buyer: Person) -> None:
        self.merchant, self.buyer = merchant, buyer
        self.product = self.sale = ""

    async def open(self) -> None:
        product = {"title": "Sneaker", "price": PRICE, "stock": 50}
        self.product = ok(await self.merchant.ask("POST", "/api/v1/products", json=product))["id"]
        sale = {
            "product_id": self.product,
            "title": "Drop",
            "price": PRICE,
            "stock": 50,
            "per_buyer_limit": 50,
            "hold_seconds": 60,
        }
        self.sale = ok(await self.merchant.ask("POST", "/api/v1/sales", json=sale))["id"]
        for step in ("arm", "open"):
            ok(await self.merchant.ask("POST", f"/api/v1/sales/{self.sale}/{step}", json={}))

    async def hold(self) -> str:
        path, key = f"/api/v1/sales/{self.sale}/holds", os.urandom(8).hex()
        held = await self.buyer.ask("POST", path, json={"quantity": 1}, headers={"idempotency-key": key})
        found: str = ok(held)["hold_id"]
        return found

    async def confirm(self, hold_id: str, method: str = "pm_ok") -> httpx.Response:
        path, key = f"/api/v1/holds/{hold_id}/confirm", os.urandom(8).hex()
        body = {"payment_method": method}
        return await self.buyer.ask("POST", path, json=body, headers={"idempotency-key": key})

    async def webhook(self, url: str, *types: str) -> dict[str, Any]:
        made = await self.merchant.ask("POST", "/api/v1/webhooks", json={"url": url, "events": types})
        found: dict[str, Any] = ok(made)
        return found


@pytest.fixture
async def market(register) -> Market:
    found = Market(await register("merchant"), await register())
    await found.open()
    return found


def genuine(request: Request, secret: str) -> bool:
    signed = request.headers["titan-timestamp"].encode() + b"." + request.body
    expected = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, request.headers["titan-signature"])


def types(there: Receiver) -> list[str]:
    return [request.headers["titan-event-type"] for request in there.requests]


async def test_a_merchant_is_told_of_holds_orders_payments_and_the_sale(market):
    async with receiver(status(200)) as there:
        made = await market.webhook(
            there.url, "hold.granted", "hold.confirmed", "order.created", "payment.captured", "sale.paused"
        )
        order = ok(await market.confirm(await market.hold()))
        ok(await market.merchant.ask("POST", f"/api/v1/sales/{market.sale}/pause", json={}))
        await there.until(lambda: len(there.requests) >= 5, SECONDS)

    assert sorted(types(there)) == [
        "hold.confirmed",
        "hold.granted",
        "order.created",
        "payment.captured",
        "sale.paused",
    ]
    assert all(genuine(request, made["secret"]) for request in there.requests)
    bodies = {json.loads(r.body)["type"]: json.loads(r.body)["data"] for r in there.requests}
    assert bodies["order.created"]["order_id"] == order["id"]
    assert bodies["order.created"]["total"] == PRICE
    assert bodies["payment.captured"]["order_id"] == order["id"]
    assert bodies["payment.captured"]["amount"] == PRICE
    shown = ok(await market.merchant.ask("GET", "/api/v1/webhooks"))["items"]
    assert [each["id"] for each in shown] == [made["id"]]
    assert "secret" not in shown[0]


async def test_a_projector_that_is_killed_loses_nothing_and_keeps_the_ids(cell, market):
    async with receiver(status(200)) as there:
        await market.webhook(there.url, "hold.granted")
        holds = {await market.hold() for _ in range(10)}
        await there.until(lambda: len(there.requests) >= 5, SECONDS)
        os.kill(projector(cell), signal.SIGKILL)
        holds |= {await market.hold() for _ in range(10)}
        await there.until(lambda: told(there).keys() >= holds, SECONDS)

    for hold_id, ids in told(there).items():
        assert len(ids) == 1, hold_id


def told(there: Receiver) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for request in there.requests:
        body = json.loads(request.body)
        found.setdefault(body["data"]["hold_id"], set()).add(request.headers["titan-event-id"])
    return found


def projector(cell: Cell) -> int:
    shown = json.loads(cell.titan("status", "--json").stdout)
    return next(int(p["pid"]) for p in shown["cells"][0]["processes"] if p["name"] == "projector")


async def test_what_fails_is_listed_and_tried_again(market):
    async with receiver(status(500)) as there:
        made = await market.webhook(there.url, "hold.granted")
        await market.hold()
        path = f"/api/v1/webhooks/{made['id']}/deliveries"
        await there.until(lambda: bool(there.requests), SECONDS)
        items: list[dict[str, Any]] = []
        async with asyncio.timeout(SECONDS):
            while not items:
                items = ok(await market.merchant.ask("GET", path))["items"]
        assert items[0]["last_status"] == 500
        assert items[0]["state"] == "waiting"
        assert items[0]["event_id"] == there.requests[0].headers["titan-event-id"]
        there.behave = status(200)
        await there.until(lambda: len(there.requests) >= 2, SECONDS)
    assert len({request.body for request in there.requests}) == 1


async def test_secrets_are_shown_once_and_rest_nowhere(cell, market, tmp_path):
    key = {"idempotency-key": os.urandom(8).hex()}
    body = {"url": "https://example.com/hook", "events": ["order.created"]}
    first = await market.merchant.ask("POST", "/api/v1/webhooks", json=body, headers=key)
    again = await market.merchant.ask("POST", "/api/v1/webhooks", json=body, headers=key)
    assert (first.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    path = f"/api/v1/webhooks/{first.json()['id']}"
    rotated = ok(await market.merchant.ask("POST", f"{path}/rotate"))
    assert rotated["generation"] == 2
    secrets = {first.json()["secret"], rotated["secret"]}
    assert len(secrets) == 2

    exported = cell.titan("log", "export", str(tmp_path / "log.jsonl"))
    assert exported.returncode == 0, exported.stderr
    everything = (tmp_path / "log.jsonl").read_text()
    assert first.json()["id"] in everything
    logs = "".join(p.read_text(errors="replace") for p in (cell.data / "logs").glob("*.log"))
    shown = (await market.merchant.ask("GET", path)).text
    for secret in secrets:
        assert secret.removeprefix("whsec_") not in everything + logs + shown


async def test_webhooks_are_the_merchants_own(market, register):
    made = await market.webhook("https://example.com/hook", "order.created")
    path = f"/api/v1/webhooks/{made['id']}"
    stranger = await register("merchant")

    assert (await market.buyer.ask("GET", "/api/v1/webhooks")).status_code == 403
    for method, where in (
        ("GET", path),
        ("DELETE", path),
        ("POST", f"{path}/rotate"),
        ("POST", f"{path}/resume"),
        ("GET", f"{path}/deliveries"),
        ("POST", f"{path}/redeliver"),
    ):
        assert (await stranger.ask(method, where)).status_code == 404, where
    assert (await market.merchant.ask("DELETE", path)).status_code == 204
    assert (await market.merchant.ask("GET", path)).status_code == 404


@pytest.mark.parametrize(
    "body",
    (
        {"url": "ftp://example.com/", "events": ["order.created"]},
        {"url": "https://10.0.0.1/", "events": ["order.created"]},
        {"url": "https://user:secret@example.com/", "events": ["order.created"]},
        {"url": "https://example.com/", "events": []},
        {"url": "https://example.com/", "events": ["order.eaten"]},
        {"url": "https://example.com/", "events": ["order.created"], "secret": "mine"},
    ),
)
async def test_what_cannot_be_a_webhook_is_refused(market, body):
    answer = await market.merchant.ask("POST", "/api/v1/webhooks", json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_there_are_at_most_ten(market):
    for _ in range(10):
        await market.webhook("https://example.com/hook", "order.created")
    body = {"url": "https://example.com/hook", "events": ["order.created"]}
    answer = await market.merchant.ask("POST", "/api/v1/webhooks", json=body)

    assert (answer.status_code, answer.json()["code"]) == (409, "limit_reached")


# --- push ----------------------------------------------------------------------------------------------------------


async def subscribe(person: Person, browser: Browser, url: str) -> None:
    body = browser.subscription(url)
    first = await person.ask("POST", "/api/v1/push/subscriptions", json=body)
    again = await person.ask("POST", "/api/v1/push/subscriptions", json=body)
    assert ok(first)["id"] == ok(again)["id"]


async def talk(market: Market) -> str:
    opened = await market.buyer.ask("POST", "/api/v1/conversations", json={"product_id": market.product})
    found: str = ok(opened)["id"]
    return found


async def say(market: Market, conversation: str, text: str) -> int:
    path = f"/api/v1/conversations/{conversation}/messages"
    s: int = ok(await market.buyer.ask("POST", path, json={"text": text}))["s"]
    return s


async def test_a_missed_message_is_pushed_although_the_projector_is_killed_in_between(cell, market):
    browser = Browser()
    async with receiver(status(201)) as there:
        await subscribe(market.merchant, browser, there.url)
        conversation = await talk(market)
        await say(market, conversation, "Is it still there?")
        os.kill(projector(cell), signal.SIGKILL)
        await there.until(lambda: bool(there.requests), SECONDS)

    notice = browser.read(there.requests[0].body)
    assert (notice["type"], notice["text"]) == ("message", "Is it still there?")
    assert notice["conversation_id"] == conversation


async def test_what_has_reached_the_person_is_not_pushed(market):
    browser = Browser()
    async with receiver(status(201)) as there:
        await subscribe(market.merchant, browser, there.url)
        conversation = await talk(market)
        s = await say(market, conversation, "Seen.")
        ok(await market.merchant.ask("POST", f"/api/v1/conversations/{conversation}/read", json={"s": s}))
        await say(market, conversation, "Not seen.")
        await there.until(lambda: bool(there.requests), SECONDS)

    assert [browser.read(request.body)["text"] for request in there.requests] == ["Not seen."]


async def test_orders_and_refused_payments_are_pushed_to_the_buyer(market):
    browser = Browser()
    async with receiver(status(201)) as there:
        await subscribe(market.buyer, browser, there.url)
        order = ok(await market.confirm(await market.hold()))
        assert (await market.confirm(await market.hold(), "pm_declined")).status_code == 402
        await there.until(lambda: len(there.requests) == 2, SECONDS)

    found = {notice["type"]: notice for notice in (browser.read(r.body) for r in there.requests)}
    assert found["order"]["order_id"] == order["id"]
    assert found["payment"]["status"] == "declined"


async def test_subscriptions_are_the_accounts_own_and_end(api, market, register):
    key = ok(await api.get("/api/v1/push/key"))["key"]
    assert len(key) == 87
    url = "https://push.example.com/send/secret-token"
    await subscribe(market.buyer, Browser(), url)
    (shown,) = ok(await market.buyer.ask("GET", "/api/v1/push/subscriptions"))["items"]
    assert shown["service"] == "https://push.example.com"
    path = "/api/v1/push/subscriptions"
    stranger = await register()
    assert (await stranger.ask("DELETE", f"{path}/{shown['id']}")).status_code == 404
    assert (await stranger.ask("DELETE", path, params={"endpoint": url})).status_code == 404
    assert (await market.buyer.ask("DELETE", path, params={"endpoint": url})).status_code == 204
    assert ok(await market.buyer.ask("GET", path))["items"] == []


async def test_what_is_no_subscription_is_refused(market):
    good = Browser().subscription("https://push.example.com/x")
    for wrong in (
        {**good, "endpoint": "https://10.0.0.1/"},
        {**good, "keys": {"p256dh": "A" * 87, "auth": "A" * 22}},
        {**good, "keys": {**Browser().subscription("x")["keys"], "auth": "A" * 21}},
        {**good, "more": 1},
    ):
        answer = await market.buyer.ask("POST", "/api/v1/push/subscriptions", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), answer.text
