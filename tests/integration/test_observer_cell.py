"""The observer in a real cell: what it shows of processes and sales, and that the cell is well without it."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from server.ops import asks
from tests.integration.conftest import Cell, running_cell
from tests.integration.observer_process import Operator
from tests.integration.shop import Shop

IDLE_MIB = 450
NOTICED_SECONDS = 5.0
BACK_SECONDS = 30.0


@pytest.fixture(scope="module")
def own_cell() -> Iterator[Cell]:
    """A cell of these tests' own: they kill what others need."""
    with running_cell() as running:
        yield running


@pytest.fixture
async def operator(own_cell: Cell) -> AsyncIterator[Operator]:
    async with Operator(own_cell.config.nats_url) as operator:
        yield operator


@pytest.fixture(scope="module")
def shop(own_cell: Cell) -> Iterator[Shop]:
    shop = Shop(own_cell)
    shop.open()
    yield shop
    shop.client.close()


def status(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cell.titan("status", "--json").stdout)
    return found


def process(frame: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in frame["processes"] if each["name"] == name)
    return found


def running(frame: dict[str, Any], name: str) -> bool:
    return any(each["name"] == name and each["state"] == "running" for each in frame["processes"])


def alerts(frame: dict[str, Any]) -> set[str]:
    return {alert["id"] for alert in frame["alerts"]}


async def test_an_idle_cell_is_shown_whole_and_stays_small(own_cell: Cell, operator: Operator):
    frame = await operator.frame_with(lambda f: f["log"]["projected"] == f["last"] == f["position"] > 0, 60)

    assert {each["name"] for each in frame["processes"]} == {
        *("nats", "valkey", "postgres", "writer", "hub", "projector", "api", "observer")
    }
    assert {each["state"] for each in frame["processes"]} == {"running"}
    assert (frame["log"]["fsync"], frame["log"]["state"], frame["cell"]) == ("always", "sound", "c1")
    assert frame["alerts"] == []
    shown = await operator.frame_with(
        lambda f: all(p["cpu"] > 0 for p in f["processes"] if p["kind"] == "role")
    )
    memory = sum(each["rss"] for each in shown["processes"]) / 2**20
    assert memory <= IDLE_MIB, {each["name"]: each["rss"] >> 20 for each in shown["processes"]}
    (row,) = (await operator.ask(asks.AskCells()))["items"]
    assert (row["state"], row["down"], row["alerts"]) == ("serving", 0, 0)
    assert (row["api"], row["realtime"]) == (own_cell.config.public_api, own_cell.config.public_realtime)
    health = (await operator.ask(asks.AskHealth()))["items"]
    assert {each["name"] for each in health} >= {"cell", "log", "fsync of the log", "disk", "clock", "fsync"}
    assert [each for each in health if each["state"] == "fail"] == []


async def test_what_people_do_is_seen_and_what_was_before_can_be_seen_again(shop: Shop, operator: Operator):
    sale = shop.new_sale("open")
    opened = await operator.frame_with(
        lambda f: any(each["id"] == sale and each["state"] == "open" for each in f["sales"])
    )
    headers = {**shop.headers("buyer"), "idempotency-key": os.urandom(8).hex()}
    held = shop.client.post(f"/api/v1/sales/{sale}/holds", json={"quantity": 3}, headers=headers).json()
    shop.make(
        "buyer", f"/holds/{held['hold_id']}/confirm", {"payment_method": "pm_ok"}, key=os.urandom(8).hex()
    )
    shown = await operator.frame_with(
        lambda f: any(each["id"] == sale and each["orders"] == 1 for each in f["sales"])
    )

    (row,) = (each for each in shown["sales"] if each["id"] == sale)
    assert (row["held"], row["sold"], row["available"], row["holds"]) == (0, 3, 997, 1)
    order = (await operator.ask(asks.AskOrders(sale=sale)))["items"][0]
    assert (order["quantity"], order["units"], order["amount"]["amount"]) == (3, [1, 2, 3], 3_750)
    before = await operator.ask(asks.AskFrame(position=opened["position"]))
    (past,) = (each for each in before["sales"] if each["id"] == sale)
    assert (past["state"], past["orders"], past["available"]) == ("open", 0, 1_000)
    series = {each["name"]: each for each in (await operator.frame())["series"]}
    assert sum(series["holds"]["history"]) >= 1
    later = await operator.frame_with(
        lambda f: any(s["name"] == "requests" and sum(s["history"]) > 0 for s in f["series"])
    )
    assert {latency["name"] for latency in later["latencies"]} == {"hold", "http", "gate", "append"}


async def test_an_api_that_is_killed_is_seen_at_once_and_when_it_is_back(own_cell: Cell, operator: Operator):
    frame = await operator.frame_with(lambda f: running(f, "api"))
    os.kill(process(frame, "api")["pid"], signal.SIGKILL)
    operator.forget()

    down = await operator.frame_with(lambda f: not running(f, "api"), NOTICED_SECONDS)
    assert "process:api" in alerts(down)
    told = next(alert for alert in down["alerts"] if alert["id"] == "process:api")
    assert (told["severity"], told["mend"]) == ("critical", "titan logs api")

    back = await operator.frame_with(lambda f: running(f, "api"), BACK_SECONDS)
    assert "process:api" not in alerts(back)
    assert "restarted:api" in alerts(back)
    assert process(back, "api")["restarts"] == process(frame, "api")["restarts"] + 1
    assert status(own_cell)["ready"]


async def test_an_engine_that_is_killed_is_seen(operator: Operator):
    frame = await operator.frame_with(lambda f: running(f, "valkey"))
    os.kill(process(frame, "valkey")["pid"], signal.SIGKILL)

    seen = await operator.frame_with(
        lambda f: alerts(f) & {"engine:valkey", "restarted:valkey"}, NOTICED_SECONDS + 5
    )
    assert process(seen, "valkey")["restarts"] >= 1
    await operator.frame_with(lambda f: running(f, "valkey"), BACK_SECONDS)


async def test_the_cell_is_well_without_its_observer(own_cell: Cell, operator: Operator):
    frame = await operator.frame_with(lambda f: running(f, "observer"))
    pid = process(frame, "observer")["pid"]
    async with httpx.AsyncClient(base_url=own_cell.api, timeout=5) as client:
        os.kill(pid, signal.SIGSTOP)
        try:
            operator.forget()
            began = time.monotonic()
            while time.monotonic() - began < 4:
                assert (await client.get("/health/ready")).status_code == 200
                await asyncio.sleep(0.5)
            assert operator.silent
        finally:
            os.kill(pid, signal.SIGKILL)
        shown = status(own_cell)
        assert (shown["ready"], shown["cells"][0]["state"]) == (True, "serving")
        assert (await client.get("/health/ready")).status_code == 200
    back = await operator.frame_with(
        lambda f: f["position"] >= frame["position"] and not f["catching_up"], BACK_SECONDS
    )
    assert process(back, "observer")["pid"] != pid
    assert await operator.ask(asks.AskFrame(position=1))
