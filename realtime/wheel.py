"""One timing wheel for every deadline of every connection, so that none needs a timer of its own."""

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

STEP_MS = 250


class Wheel(Generic[T]):
    """Items by the step of time in which they are due.

    An item may be entered for several times and comes up at each; who is woken looks up what is due.
    Times are ms of any clock that only goes forward.
    """

    def __init__(self, now: int) -> None:
        self._steps: dict[int, set[T]] = {}
        self._turned = now // STEP_MS

    def enter(self, item: T, at: int) -> None:
        """Have `item` come up at `at` or up to one step later, also when `at` has passed."""
        step = max(-(-at // STEP_MS), self._turned + 1)
        self._steps.setdefault(step, set()).add(item)

    def turn(self, now: int) -> list[T]:
        """Answer and forget the items due by `now`, the earliest first."""
        last = now // STEP_MS
        due: list[T] = []
        if last - self._turned > len(self._steps):
            # After a long pause it is cheaper to look at the steps there are than at all that passed.
            passed = sorted(step for step in self._steps if step <= last)
        else:
            passed = list(range(self._turned + 1, last + 1))
        for step in passed:
            due.extend(self._steps.pop(step, ()))
        self._turned = max(self._turned, last)
        return due

    def __len__(self) -> int:
        return sum(map(len, self._steps.values()))
