"""Time as an argument: milliseconds since the Unix epoch, UTC."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Where a shell takes the time it hands to the rules."""

    def now(self) -> int:
        """Return milliseconds since the Unix epoch, UTC."""


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> int:
        """Return milliseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, start: int = 1_800_000_000_000) -> None:
        self._now = start

    def now(self) -> int:
        """Return the time it was last moved to."""
        return self._now

    def advance(self, milliseconds: int) -> int:
        """Move forward (or back, for a clock that jumps) and return the new time."""
        self._now += milliseconds
        return self._now


@lru_cache(maxsize=256)
def _second(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}"


def rfc3339(at: int) -> str:
    """Format epoch milliseconds as RFC 3339 in UTC with milliseconds: `2026-11-23T14:02:07.311Z`."""
    second, millisecond = divmod(at, 1000)
    return f"{_second(second)}.{millisecond:03d}Z"
