"""Waiting for the projections to reach a position."""

import asyncio

import msgspec
import pytest

from cells.engine.project import StoreUnavailable
from cells.kernel.errors import Rejected
from cells.log.memory import MemoryLog
from cells.log.port import Appended
from server.store import waiting
from server.store.waiting import Projected


class Checkpoint:
    """A checkpoint row that is where the test puts it."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.away = False

    async def look(self) -> int:
        if self.away:
            raise StoreUnavailable("away")
        return self.position


class Message(msgspec.Struct):
    data: bytes


async def test_what_the_projector_tells_wakes_who_waits():
    projected = Projected(Checkpoint().look)
    waiter = asyncio.create_task(projected.reached(5, 5.0))
    await projected.heard(Message(waiting.encode(4)))
    assert not waiter.done()
    await projected.heard(Message(waiting.encode(5)))
    assert await waiter


async def test_what_was_not_heard_is_seen_in_the_checkpoint():
    assert await Projected(Checkpoint(9).look).reached(9, 5.0)


async def test_waiting_ends_in_time_when_the_store_is_away():
    checkpoint = Checkpoint()
    checkpoint.away = True
    projected = Projected(checkpoint.look)
    assert not await projected.reached(1, 0.4)
    with pytest.raises(Rejected) as refused:
        await projected.demand(1, 0.01)
    assert refused.value.code == "unavailable"
    assert refused.value.retryable


async def test_noise_on_the_subject_is_passed_over():
    projected = Projected(Checkpoint().look)
    await projected.heard(Message(b"\xff\xff"))
    assert projected.position == 0


async def test_more_than_the_bound_do_not_wait(monkeypatch):
    monkeypatch.setattr(waiting, "MOST_WAITERS", 2)
    projected = Projected(Checkpoint().look)
    waiters = [asyncio.create_task(projected.reached(1, 5.0)) for _ in range(2)]
    await asyncio.sleep(0)
    assert not await projected.reached(1, 5.0)
    await projected.heard(Message(waiting.encode(1)))
    assert await asyncio.gather(*waiters) == [True, True]


async def test_a_rebuilt_database_lowers_what_is_known():
    projected = Projected(Checkpoint().look)
    await projected.heard(Message(waiting.encode(100)))
    await projected.heard(Message(waiting.encode(3)))
    assert not await projected.reached(50, 0.01)


class Deaf:
    """A bus on which nothing is ever heard."""

    async def subscribe(self, subject: str, *, cb: object) -> None:
        pass


async def test_a_position_beyond_the_log_is_the_clients_mistake_and_not_waited_for():
    log = MemoryLog()
    assert await log.append("log.000.prd.x", b"1", 0) == Appended(1)
    projected = Projected(Checkpoint().look)
    await projected.start(Deaf(), "c1", log)

    with pytest.raises(Rejected) as beyond:
        await projected.demand(2, 60.0)
    with pytest.raises(Rejected) as late:
        await projected.demand(1, 0.05)

    assert (beyond.value.code, late.value.code) == ("bad_request", "unavailable")


async def test_a_log_that_grew_is_asked_again():
    log = MemoryLog()
    projected = Projected(Checkpoint(1).look)
    await projected.start(Deaf(), "c1", log)
    with pytest.raises(Rejected):
        await projected.demand(1)

    await log.append("log.000.prd.x", b"1", 0)

    await projected.demand(1)
