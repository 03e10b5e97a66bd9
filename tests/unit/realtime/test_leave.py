"""How a hub that ends sends its clients away: quickly when it is alone, no faster than the next one takes them else."""

import asyncio

import pytest

from realtime.desk import Desk, DeskSettings
from realtime.feed import MemoryFeed
from realtime.hub import Hub
from realtime.leave import ALONE_MS, ALONE_SPREAD_MS, leave_of
from realtime.shell_ws import HANDSHAKES
from realtime.source import MemorySource
from realtime.tokens import KnownTokens

LONG = 5.0


def desk_at(source: MemorySource, node: str) -> Desk:
    return Desk(DeskSettings(node), Hub(lambda: 0), MemoryFeed(), source, KnownTokens({}), lambda: 0)


@pytest.mark.parametrize("connections", (0, 1, 2_000, 20_000))
def test_nobody_is_sent_to_the_next_hub_faster_than_it_takes_people(connections):
    leave = leave_of(connections, accompanied=True)

    assert connections <= max(1, leave.spread_ms) * HANDSHAKES.per_second / 1_000
    assert leave.deadline_ms > leave.spread_ms


def test_a_hub_alone_has_to_be_quick():
    leave = leave_of(20_000, accompanied=False)

    assert (leave.deadline_ms, leave.spread_ms) == (ALONE_MS, ALONE_SPREAD_MS)


async def test_a_hub_is_alone_until_another_one_tells_that_it_is_there():
    source = MemorySource()
    first, second = desk_at(source, "hub-1"), desk_at(source, "hub-2")
    await first.appear()
    assert not await first.accompanied(0.01)

    asking = asyncio.create_task(first.accompanied(LONG))
    await asyncio.sleep(0)
    await second.appear()

    assert await asking
