"""Confirming holds on a real cell, whose api dies between the steps: an order that is paid, or a payment given back."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from cells.config import CellConfig
from cells.kernel import envelope
from cells.log.jetstream import JetStreamLog
from cells.supervisor import ports
from server.payments.model import EVENTS, PaymentCaptured, PaymentVoided

START_SECONDS = 90
SETTLED_SECONDS = 40
POINTS = ("started", "booked", "authorised", "confirmed", "charged", "captured")


def titan(*arguments: str, failpoint: str = "") -> "subprocess.CompletedProcess[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TITAN_")}
    environment["TITAN_RATE_LIMITS"] = "off"
    if failpoint:
        environment["TITAN_FAILPOINT"] = failpoint
    command = [sys.executable, "-m", "cells.cli", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )


@contextlib.contextmanager
def failing_cell(failpoint: str) -> Iterator[CellConfig]:
    """Start a cell of one's own whose processes die at a failpoint."""
    folder = Path(tempfile.mkdtemp(prefix="titan-checkout-"))
    folder.chmod(0o755)
    data = str(folder / "data")
    port = str(ports.choose("127.0.0.1", set()))
    started = titan("up", "--detach", "--port", port, "--data", data, failpoint=failpoint)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield msgspec.json.decode((folder / "data" / "run" / "c1.json").read_bytes(), type=CellConfig)
    finally:
        titan("down", "--data", data)
        shutil.rmtree(folder, ignore_errors=True)


class Shop:
    """A merchant with an open sale, and a buyer."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self._api = api
        self.sale = ""
        self._tokens: dict[str, str] = {}

    async def ask(self, who: str, method: str, path: str, **how: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._tokens[who]}", **how.pop("headers", {})}
        return await self._api.request(method, f"/api/v1{path}", headers=headers, **how)

    async def made(self, who: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.ask(who, "POST", path, json=body)
        assert answer.status_code in {200, 201}, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def register(self, who: str, role: str) -> None:
        body = {
            "email": f"{who}-{os.urandom(4).hex()}@example.com",
            "password": "correct horse battery",
            "display_name": who,
            "role": role,
        }
        answer = await self._api.post("/api/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        self._tokens[who] = answer.json()["access_token"]

    async def open(self, hold_seconds: int) -> None:
        for who, role in (("mia", "merchant"), ("ben", "buyer"), ("eve", "buyer")):
            await self.register(who, role)
        price = {"amount": 1250, "currency": "EUR"}
        lamp = {
            "title": "Lamp",
            "description": "",
            "price": price,
            "stock": 9,
            "images": [],
            "attributes": {},
        }
        product = await self.made("mia", "/products", lamp)
        sale = await self.made(
            "mia",
            "/sales",
            {
                "product_id": product["id"],
                "title": "Lamps",
                "price": price,
                "stock": 9,
                "per_buyer_limit": 9,
                "hold_seconds": hold_seconds,
                "starts_at": None,
                "ends_at": None,
            },
        )
        self.sale = sale["id"]
        for step in ("arm", "open"):
            await self.made("mia", f"/sales/{self.sale}/{step}", {})

    async def hold(self, quantity: int = 2) -> str:
        key = {"idempotency-key": os.urandom(8).hex()}
        answer = await self.ask(
            "ben", "POST", f"/sales/{self.sale}/holds", json={"quantity": quantity}, headers=key
        )
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["hold_id"]
        return found

    async def confirm(
        self, hold_id: str, method: str = "pm_ok", key: str = "k1", who: str = "ben"
    ) -> httpx.Response:
        return await self.ask(
            who,
            "POST",
            f"/holds/{hold_id}/confirm",
            json={"payment_method": method},
            headers={"idempotency-key": key},
        )


@contextlib.asynccontextmanager
async def shop_on(api_url: str, hold_seconds: int = 120) -> AsyncIterator[Shop]:
    async with httpx.AsyncClient(base_url=api_url, timeout=15) as api:
        shop = Shop(api)
        await shop.open(hold_seconds)
        yield shop


@pytest.fixture
async def shop(cell):
    async with shop_on(cell.api) as opened:
        yield opened


async def outcome(config: CellConfig, folder: Path) -> str:
    """Wait for the first payment of the log to be captured or voided."""
    log = await JetStreamLog.open(config.nats_url, folder, "test-checkout")
    try:
        async with asyncio.timeout(SETTLED_SECONDS):
            async for batch in log.tail("log.*.pay.*", 0):
                for stored in batch:
                    for event in envelope.decode(EVENTS, stored.body).events:
                        if isinstance(event, PaymentCaptured | PaymentVoided):
                            return type(event).__name__
    finally:
        await log.close()
    raise AssertionError("a tail never ends")


async def eventually(ask: Any, *statuses: int) -> httpx.Response:
    """Ask until one of these statuses comes; the api may be starting anew."""
    async with asyncio.timeout(SETTLED_SECONDS):
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer: httpx.Response = await ask()
                if answer.status_code in statuses:
                    return answer
            await asyncio.sleep(0.2)


# --- a cell that lives ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ("pm_ok", "pm_timeout", "pm_slow", "pm_duplicate"))
async def test_a_paid_hold_is_an_order_and_again_the_same(shop, method):
    hold_id = await shop.hold()
    first = await shop.confirm(hold_id, method)
    assert first.status_code == 201, first.text
    order = first.json()
    assert order["total"] == {"amount": 2500, "currency": "EUR"}
    assert (order["hold_id"], order["status"], order["payment_status"]) == (hold_id, "confirmed", "captured")
    assert "idempotency-replayed" not in first.headers
    for key in ("k1", "k2"):
        again = await shop.confirm(hold_id, method, key)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotency-replayed"] == "true"
    # `after` covers the order's own commit; the payment's is a later one, and is read as soon as it is projected.
    assert (
        await shop.ask("ben", "GET", f"/orders/{order['id']}?after={order['position']}")
    ).status_code == 200
    seen = await eventually(lambda: shop.ask("ben", "GET", f"/orders/{order['id']}"), 200)
    assert {**seen.json(), "payment_status": "captured"} == order


async def test_two_confirms_at_once_get_the_same_order(shop):
    hold_id = await shop.hold()
    answers = await asyncio.gather(*(shop.confirm(hold_id, key=f"k{n}") for n in range(6)))
    assert [a.status_code for a in answers] == [201] * 6
    assert len({a.content for a in answers}) == 1


async def test_refusals(shop):
    hold_id = await shop.hold()
    declined = await shop.confirm(hold_id, "pm_declined")
    again = await shop.confirm(hold_id, "pm_declined")
    assert (declined.status_code, declined.json()["code"]) == (402, "payment_declined")
    assert declined.headers["titan-outcome"] == "not-applied"
    assert (again.status_code, again.json()) == (402, declined.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert (await shop.confirm(hold_id, "pm_ok")).json()["code"] == "key_reused"
    assert (await shop.confirm(hold_id, "pm_gold", "k9")).json()["code"] == "bad_request"
    assert (await shop.confirm(hold_id, who="eve")).json()["code"] == "not_found"
    assert (await shop.confirm(hold_id, who="mia")).status_code == 403
    keyless = await shop.ask("ben", "POST", f"/holds/{hold_id}/confirm", json={"payment_method": "pm_ok"})
    assert keyless.json()["code"] == "idempotency_key_required"
    assert (await shop.confirm(hold_id, "pm_ok", "k2")).status_code == 201
    released = await shop.hold()
    assert (await shop.ask("ben", "DELETE", f"/holds/{released}")).status_code == 204
    assert (await shop.confirm(released)).json()["code"] == "hold_released"


# --- a cell whose api dies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
async def test_a_confirm_whose_api_was_killed_ends_in_a_paid_order(point, tmp_path):
    with failing_cell(f"checkout.{point}:kill") as config:
        async with shop_on(config.public_api) as shop:
            hold_id = await shop.hold()
            with pytest.raises(httpx.TransportError):
                await shop.confirm(hold_id)
            assert await outcome(config, tmp_path) == "PaymentCaptured"
            answer = await eventually(lambda: shop.confirm(hold_id), 201)
            assert answer.headers["idempotency-replayed"] == "true"
            listed = f"/orders?after={answer.json()['position']}"
            orders = await eventually(lambda: shop.ask("ben", "GET", listed), 200)
            assert [o["id"] for o in orders.json()["items"]] == [answer.json()["id"]]
            audit = (await shop.ask("mia", "GET", f"/sales/{shop.sale}/audit")).json()
            assert (audit["confirmed"], audit["oversold"], audit["duplicate_units"]) == (2, 0, 0)


@pytest.mark.parametrize("point", ("started", "booked", "authorised"))
async def test_a_hold_that_ended_before_recovery_came_leaves_a_voided_payment(point, tmp_path):
    with failing_cell(f"checkout.{point}:kill") as config:
        async with shop_on(config.public_api, hold_seconds=2) as shop:
            hold_id = await shop.hold()
            with pytest.raises(httpx.TransportError):
                await shop.confirm(hold_id)
            assert await outcome(config, tmp_path) == "PaymentVoided"
            answer = await eventually(lambda: shop.confirm(hold_id), 409)
            assert answer.json()["code"] == "hold_expired"
            assert (await shop.ask("ben", "GET", "/orders")).json()["items"] == []
