"""How much of everything one connection may ask for, and when it has asked too much too often. PURE."""

from typing import Final

import msgspec

from realtime.rate import Bucket, Rate

VIOLATIONS: Final = 3
VIOLATION_WINDOW_MS: Final = 60_000
PENALTY_MS: Final = 10_000

RATES: Final[dict[str, Rate]] = {
    "session": Rate(per_second=0.2, burst=5),
    "channel": Rate(per_second=20, burst=200),
    "msg": Rate(per_second=5, burst=20),
    "history": Rate(per_second=2, burst=10),
    "ack": Rate(per_second=5, burst=20),
    "typing": Rate(per_second=1 / 3, burst=2),
    "unknown": Rate(per_second=5, burst=20),
    "frame": Rate(per_second=50, burst=250),
}


class Overdrawn(msgspec.Struct, frozen=True):
    """A budget has nothing left for `wait_ms`; `penalty_ms` is set when it was the last violation to be borne."""

    wait_ms: int
    penalty_ms: int | None = None


class Budgets:
    """What is left of each of RATES on one connection; without `limited` there is no end to it."""

    __slots__ = ("_buckets", "_limited", "_violations")

    def __init__(self, *, limited: bool) -> None:
        self._limited = limited
        # Made when something is spent: most of thousands of connections only listen.
        self._buckets: dict[str, Bucket] | None = None
        self._violations: tuple[int, ...] = ()

    def spend(self, budget: str, now: int) -> Overdrawn | None:
        """Take one from a budget; None when there was one."""
        if not self._limited:
            return None
        if self._buckets is None:
            self._buckets = {}
        bucket = self._buckets.get(budget)
        if bucket is None:
            bucket = self._buckets[budget] = Bucket(RATES[budget], now)
        wait = bucket.take(now)
        if wait == 0:
            return None
        recent = [at for at in self._violations if now - at < VIOLATION_WINDOW_MS]
        self._violations = (*recent, now)
        borne = len(self._violations) < VIOLATIONS
        return Overdrawn(wait, None if borne else max(wait, PENALTY_MS))
