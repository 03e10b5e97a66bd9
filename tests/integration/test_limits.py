"""Rate limits counted by several workers in the cell's own Valkey."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from cells.kernel.clock import ManualClock
from cells.kernel.errors import Rejected
from cells.telemetry.instruments import Metrics
from server import valkey
from server.web.limits import Limits, Rule
from tests.integration.conftest import Cell

RULE = Rule("workers", 10, 60_000, 10)


@pytest.fixture
async def workers(cell: Cell) -> AsyncIterator[tuple[Limits, Limits, ManualClock]]:
    """The limits of two api processes."""
    clock = ManualClock()
    clients = [valkey.connect(cell.config.redis_url) for _ in range(2)]
    first, second = (
        Limits(client, clock, Metrics(), cell=cell.config.cell, enabled=True) for client in clients
    )
    yield first, second, clock
    for client in clients:
        await client.aclose(close_connection_pool=True)


async def admitted(limits: Limits, who: str, count: int) -> int:
    found = await asyncio.gather(*(limits.admit(RULE, who) for _ in range(count)), return_exceptions=True)
    assert {f.code for f in found if isinstance(f, Rejected)} <= {"rate_limited"}
    return sum(f is None for f in found)


async def test_two_workers_admit_together_what_one_may(workers):
    first, second, clock = workers
    who = os.urandom(6).hex()

    passed = sum(await asyncio.gather(admitted(first, who, 30), admitted(second, who, 30)))

    assert passed == 10
    assert (first.state, second.state) == ("ok", "ok")
    clock.advance(12_000)
    assert sum(await asyncio.gather(admitted(first, who, 5), admitted(second, who, 5))) == 2


async def test_a_refusal_says_when_to_come_back(workers):
    first, _, clock = workers
    who = os.urandom(6).hex()
    await admitted(first, who, 10)

    with pytest.raises(Rejected) as caught:
        await first.admit(RULE, who)

    assert caught.value.retry_after_ms is not None
    clock.advance(caught.value.retry_after_ms)
    assert await admitted(first, who, 1) == 1
