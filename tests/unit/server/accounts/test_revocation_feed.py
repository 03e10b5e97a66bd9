"""How a process learns of sessions that were ended before it started."""

from typing import Any

import pytest

from cells.engine.handle import handle
from cells.kernel.clock import ManualClock
from cells.log.memory import MemoryLog
from server.accounts.decide import DECIDER
from server.accounts.model import ACCESS_MS, LogIn, LogOut, Register
from server.accounts.revocation_feed import RevocationFeed, first_since
from server.web.revocations import Revocations


class SilentBus:
    """A bus that loses everything."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []

    async def publish(self, subject: str, payload: bytes) -> None:
        self.published.append((subject, payload))

    async def subscribe(self, subject: str, *, cb: Any) -> Any:
        return subject, cb


@pytest.fixture
def clock():
    return ManualClock()


async def log_with_sessions(clock: ManualClock, count: int) -> MemoryLog:
    """Each session is started, and ended, a minute after the one before."""
    log = MemoryLog()
    await handle(log, DECIDER, 1, "a" * 32, Register("usr_1", "a@b.cd", "h", "A", "buyer", "s", b"t"), clock)
    for i in range(count):
        clock.advance(60_000)
        await handle(log, DECIDER, 1, "a" * 32, LogIn(f"s{i}", b"t", "h"), clock)
        await handle(log, DECIDER, 1, "a" * 32, LogOut(f"s{i}"), clock)
    return log


async def test_the_first_look_covers_the_life_of_an_access_token(clock):
    log = await log_with_sessions(clock, 20)
    revocations = Revocations()
    feed = RevocationFeed(log, SilentBus(), revocations, clock, "c1")

    await feed.learn()

    known = {i for i in range(20) if revocations.is_revoked(f"s{i}", clock.now())}
    assert known == set(range(10, 20))


async def test_a_later_look_finds_what_the_bus_lost(clock):
    log = await log_with_sessions(clock, 2)
    revocations = Revocations()
    feed = RevocationFeed(log, SilentBus(), revocations, clock, "c1")
    await feed.learn()
    await handle(log, DECIDER, 1, "a" * 32, LogOut("s"), clock)
    assert not revocations.is_revoked("s", clock.now())

    await feed.learn()

    assert revocations.is_revoked("s", clock.now())


async def test_bisection_finds_the_first_commit_of_a_time(clock):
    start = clock.now()
    log = await log_with_sessions(clock, 5)

    assert await first_since(log, start) == 0
    assert await first_since(log, start + 60_000) == 1
    assert await first_since(log, start + 120_001) == 5
    assert await first_since(log, clock.now() + 1) == 11
    assert await first_since(MemoryLog(), 0) == 0


async def test_a_session_is_forgotten_when_its_tokens_have_expired(clock):
    revocations = Revocations()
    revocations.add("s", clock.now() + ACCESS_MS, clock.now())

    assert revocations.is_revoked("s", clock.now())
    assert not revocations.is_revoked("s", clock.advance(ACCESS_MS))
    assert len(revocations) == 0


def test_a_full_memory_drops_what_expires_first():
    revocations = Revocations(max_entries=2)
    for i, until in enumerate((30, 10, 20)):
        revocations.add(f"s{i}", until, now=0)

    assert [revocations.is_revoked(f"s{i}", 5) for i in range(3)] == [True, False, True]
