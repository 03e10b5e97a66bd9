"""Token buckets: how often something may happen, with time as an argument."""

import msgspec


class Rate(msgspec.Struct, frozen=True):
    """`per_second` in the long run, `burst` at once."""

    per_second: float
    burst: int


class Bucket:
    """The tokens left of one Rate. Starts full."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: int) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: int) -> int:
        """Answer 0 and take a token, or take none and answer the ms until there is one. `now` is in ms."""
        gained = (now - self._at) * self._rate.per_second / 1000
        self._tokens = min(float(self._rate.burst), self._tokens + max(0.0, gained))
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        return int((1 - self._tokens) * 1000 / self._rate.per_second) + 1
