"""Rows that come in pages, the newest first, and are looked at again from the front. PURE."""

from collections.abc import Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

# Full policy: no further pages are asked for.
MAX_ROWS: Final = 1000


class Placed(Protocol):
    """A row with an id, and the position in the log that made it."""

    @property
    def id(self) -> str: ...

    @property
    def position(self) -> int: ...


T = TypeVar("T", bound=Placed)


class Paged(Generic[T]):
    """The pages so far, as one list by position."""

    def __init__(self) -> None:
        self._rows: dict[str, T] = {}
        self.next: str | None = None

    @property
    def rows(self) -> Mapping[str, T]:
        """All rows by id, the newest first."""
        ordered = sorted(self._rows.values(), key=lambda row: (-row.position, row.id))
        return {row.id: row for row in ordered[:MAX_ROWS]}

    @property
    def has_more(self) -> bool:
        """There is a further page, and room for it."""
        return self.next is not None and len(self._rows) < MAX_ROWS

    def begin(self, rows: Sequence[T], next_: str | None) -> None:
        """Hold just this page."""
        self._rows = {row.id: row for row in rows}
        self.next = next_

    def refresh(self, rows: Sequence[T], next_: str | None) -> None:
        """Take in the first page as it is now; without a further one, it is all there is."""
        if next_ is None or not self._rows or not any(row.id in self._rows for row in rows):
            self.begin(rows, next_)
        else:
            self._rows |= {row.id: row for row in rows}

    def more(self, rows: Sequence[T], next_: str | None) -> None:
        """Take in the next page."""
        self._rows |= {row.id: row for row in rows}
        self.next = next_
