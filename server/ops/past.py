"""Finding the way back: which snapshot to fold from, and which position a time means. PURE."""

from array import array
from bisect import bisect_right
from typing import Final

import msgspec

SNAPSHOT_BYTES: Final = 64 << 20
"""Of all snapshots together, as they are kept. Full policy: every second of the older ones leaves."""

SNAPSHOT_EVENTS: Final = 20_000
SNAPSHOT_COMMITS: Final = 5_000
"""Between two snapshots there are so many of the one or of the other: a tenth of a second of reading and folding."""

NEWEST: Final = 8
"""Snapshots that are never thinned out: what people look at first is what just happened."""

MARK_EVERY: Final = 256
MAX_MARKS: Final = 1 << 16


class Snapshot(msgspec.Struct, frozen=True):
    """A board as of a position, packed."""

    position: int
    packed: bytes


class Snapshots:
    """Boards of the past, in the order of their positions."""

    def __init__(self, budget: int = SNAPSHOT_BYTES) -> None:
        self._budget = budget
        self._kept: list[Snapshot] = []
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, snapshot: Snapshot) -> None:
        """Keep a snapshot that is behind all that are kept; any other is left out."""
        if self._kept and snapshot.position <= self._kept[-1].position:
            return
        self._kept.append(snapshot)
        self.bytes += len(snapshot.packed)
        while self.bytes > self._budget and len(self._kept) > 1:
            self._thin()

    def nearest(self, position: int) -> Snapshot | None:
        """Return the last snapshot at or before a position."""
        found = bisect_right(self._kept, position, key=lambda each: each.position)
        return self._kept[found - 1] if found else None

    def _thin(self) -> None:
        older, newest = self._kept[:-NEWEST], self._kept[-NEWEST:]
        # While there are but newest ones, the oldest of these has to go.
        self._kept = [*older[::2][: len(older) // 2], *newest] if older else newest[1:]
        self.bytes = sum(len(each.packed) for each in self._kept)


class Timeline:
    """Which position a time means: the last one before anything that is later.

    Times of commits are those of several clocks and may go back a little; what counts is the latest time so far.
    """

    def __init__(self) -> None:
        self._every = MARK_EVERY
        self._positions = array("q")
        self._times = array("q")

    def note(self, position: int, latest: int) -> None:
        """Note the latest time of all commits up to a position. Positions and times never go back."""
        if not self._positions or position >= self._positions[-1] + self._every:
            self._positions.append(position)
            self._times.append(latest)
            if len(self._positions) > MAX_MARKS:
                self._positions, self._times = self._positions[::2], self._times[::2]
                self._every *= 2

    def bracket(self, at: int) -> tuple[int, int | None]:
        """Return a position that is not later than `at`, and one that is; 0: none is known, None: none is."""
        found = bisect_right(self._times, at)
        low = self._positions[found - 1] if found else 0
        return low, self._positions[found] if found < len(self._positions) else None
