"""A minute of one-second points. PURE."""

from typing import Final

POINTS: Final = 60
# The seconds that are not whole yet come on top.
_KEPT: Final = POINTS + 8


class Points:
    """One value for each of the last seconds."""

    __slots__ = ("_last", "_values")

    def __init__(self) -> None:
        self._last = -1
        self._values = [0.0] * _KEPT

    def spread(self, amount: float, since: float, now: float) -> None:
        """Add an amount evenly over the time in which it came, or what of that time is kept."""
        since = max(since, now - POINTS)
        if self._last < int(now):
            self._move(int(now), level=False)
        if now - since < 0.001:
            self._values[int(now) % _KEPT] += amount
            return
        for second in range(int(since), int(now) + 1):
            share = (min(now, second + 1) - max(since, second)) / (now - since)
            self._values[second % _KEPT] += amount * share

    def put(self, value: float, now: float) -> None:
        """Set the value of this second; the seconds without one keep the value before them."""
        if self._last < int(now):
            self._move(int(now), level=True)
        self._values[int(now) % _KEPT] = value

    def at(self, second: int) -> float:
        """Return what came in a second."""
        return self._values[second % _KEPT] if self._last - _KEPT < second <= self._last else 0.0

    def newest(self, second: int) -> float:
        """Return the value as of a second."""
        return self.at(min(second, self._last))

    def _move(self, second: int, *, level: bool) -> None:
        kept = self._values[self._last % _KEPT] if level and self._last >= 0 else 0.0
        for each in range(max(self._last + 1, second - _KEPT + 1), second + 1):
            self._values[each % _KEPT] = kept
        self._last = second
