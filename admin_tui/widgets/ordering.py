"""By what a table is ordered, and which way. PURE."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Ordering(Generic[T]):
    """Starts with the order that comes by itself; then by any of the columns that have a measure."""

    def __init__(
        self, measures: Mapping[str, Callable[[T], Any]], natural: Callable[[Iterable[T]], list[T]] = list
    ) -> None:
        self._measures = measures
        self._natural = natural
        self.column = ""
        self.descending = False

    def sorted(self, rows: Iterable[T]) -> list[T]:
        """Return the rows in order; what is equal stays in its natural order."""
        ordered = self._natural(rows)
        if self.column:
            ordered.sort(key=self._measures[self.column], reverse=self.descending)
        return ordered

    def choose(self, column: str) -> None:
        """Order by a column, the largest first; chosen again, the other way; once more, naturally."""
        if column not in self._measures:
            return
        if column != self.column:
            self.column, self.descending = column, True
        elif self.descending:
            self.descending = False
        else:
            self.column = ""

    def next(self) -> None:
        """Order by the next column, after the last one naturally."""
        columns = ["", *self._measures]
        self.column = columns[(columns.index(self.column) + 1) % len(columns)]
        self.descending = True
