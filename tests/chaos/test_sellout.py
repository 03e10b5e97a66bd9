"""3,000 buyers want 1,000 units, two at most each, while a process of the cell is killed, stopped or duplicated.

Whatever happens: sold is exactly the stock, no unit twice, nobody over the limit, every 201 is in the log, and a
retry with the same key gives the same answer.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cells.config import CONFIG_VARIABLE
from cells.process import STATUS_VARIABLE
from fixtures.cell import find
from fixtures.load import engines
from fixtures.load.actors import Actor
from fixtures.seed import sign_merchant
from tests.chaos.storm import LIMIT, STOCK, Storm, run_storm
from tests.integration.conftest import Cell, running_cell

RECOVERY_SECONDS = 20.0
LOOK_SECONDS = 0.05

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    with running_cell() as started:
        yield started


@pytest.fixture(scope="module")
def merchant(cell: Cell) -> Actor:
    return sign_merchant(cell.config)


def pid_of(cell: Cell, name: str) -> int:
    """Return the process that the status names; 0 while there is none."""
    found = find(cell.data)
    return found.process(name).pid if found else 0


async def recovered(cell: Cell, name: str, before: int) -> None:
    """Wait until the cell is ready again with another process of that name."""
    end = time.monotonic() + RECOVERY_SECONDS
    while (now := pid_of(cell, name)) in (0, before):
        assert time.monotonic() < end, f"{name} did not come back: {now}"
        await asyncio.sleep(LOOK_SECONDS)


@contextlib.asynccontextmanager
async def admin_of_valkey(cell: Cell) -> AsyncIterator[Redis]:
    """Connect with the rights that the cell's own processes do not have."""
    running = find(cell.data)
    assert running is not None
    client = Redis.from_url(engines.redis_url(running))
    try:
        yield client
    finally:
        await client.aclose()


async def another_writer(cell: Cell) -> asyncio.subprocess.Process:
    """Start a second writer beside the supervised one, and wait until it leads."""
    reports, report = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "cells.process", "writer"),
        env={
            **os.environ,
            CONFIG_VARIABLE: str(Path(cell.data) / "run" / "c1.json"),
            STATUS_VARIABLE: str(report),
        },
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=(report,),
    )
    os.close(report)
    await asyncio.to_thread(_until_serving, reports)
    return process


def _until_serving(reports: int) -> None:
    with os.fdopen(reports) as lines:
        assert any('"serving"' in line for line in lines), "the second writer ended before it led"


def sold_exactly(storm: Storm) -> None:
    """State the guarantees."""
    assert storm.verdict.violations == {}
    taken = Counter(unit for grant in storm.logged.values() for unit in grant.units)
    assert set(taken) == set(range(1, STOCK + 1)), "every unit was taken"
    assert set(taken.values()) == {1}, "by one buyer"
    per_buyer = Counter[str]()
    for grant in storm.logged.values():
        per_buyer[grant.buyer_id] += len(grant.units)
    assert max(per_buyer.values()) <= LIMIT
    for ack in storm.acknowledged.values():
        assert storm.logged[ack.hold].units == ack.units, "every 201 is in the log"
    acked = {ack.hold for ack in storm.acknowledged.values()}
    assert acked == set(storm.logged), "every grant reached its buyer in the end"
    first = storm.acknowledged
    assert storm.replays
    for replay in storm.replays:
        assert replay.outcome == "ok"
        assert replay.replayed
        assert (replay.hold, replay.units) == (first[replay.key].hold, first[replay.key].units)


async def test_without_a_fault(cell: Cell, merchant: Actor) -> None:
    sold_exactly(await run_storm(cell, merchant))


@pytest.mark.parametrize("name", ("writer", "api", "valkey", "nats"))
async def test_a_process_is_killed_in_mid_sale(cell: Cell, merchant: Actor, name: str) -> None:
    before = pid_of(cell, name)

    async def kill() -> None:
        os.kill(before, signal.SIGKILL)

    storm = await run_storm(cell, merchant, kill)
    await recovered(cell, name, before)
    assert storm.terms or name != "writer", "a new writer took the sale over in the middle of it"
    sold_exactly(storm)


async def test_a_paused_writer_is_overtaken_and_comes_back_harmless(cell: Cell, merchant: Actor) -> None:
    """SIGSTOP of the writer, a second one takes over, SIGCONT: the first must not decide anything more."""
    first = pid_of(cell, "writer")
    second: list[asyncio.subprocess.Process] = []

    async def overtake() -> None:
        os.kill(first, signal.SIGSTOP)
        second.append(await another_writer(cell))
        os.kill(first, signal.SIGCONT)

    try:
        storm = await run_storm(cell, merchant, overtake)
        assert storm.terms, "the second writer took the sale over in the middle of it"
        sold_exactly(storm)
    finally:
        os.kill(first, signal.SIGCONT)
        for process in second:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 10)
    sold_exactly(await run_storm(cell, merchant))


@pytest.mark.parametrize("name", ("valkey", "nats"))
async def test_an_engine_is_stopped_for_a_while(cell: Cell, merchant: Actor, name: str) -> None:
    """SIGSTOP and SIGCONT: answers stay away, and late ones still arrive."""
    pid = pid_of(cell, name)

    async def pause() -> None:
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(3)  # the fault itself lasts this long; nothing is synchronised by it
        os.kill(pid, signal.SIGCONT)

    sold_exactly(await run_storm(cell, merchant, pause))


async def test_the_gate_is_emptied_again_and_again(cell: Cell, merchant: Actor) -> None:
    """FLUSHALL in mid-sale: slower, never wrong."""
    async with admin_of_valkey(cell) as valkey:

        async def empty() -> None:
            for _ in range(20):
                await valkey.flushall()
                await asyncio.sleep(0.02)

        sold_exactly(await run_storm(cell, merchant, empty))


async def test_the_gate_is_restored_from_an_old_copy(cell: Cell, merchant: Actor) -> None:
    """A copy of a second ago, with the right epoch: it shows units that are gone, and buyers without what they have."""
    async with admin_of_valkey(cell) as valkey:

        async def restore() -> None:
            copy = {key: await valkey.dump(key) for key in await valkey.keys(f"{cell.config.cell}:*")}
            for _ in range(10):
                await asyncio.sleep(0.1)
                for key, value in copy.items():
                    if value is not None:
                        await valkey.restore(key, 0, value, replace=True)

        sold_exactly(await run_storm(cell, merchant, restore))
