"""Rows that come in pages, the newest first, and are looked at again from the front. PURE."""

from collections.abc import Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

# Full policy: further pages are not asked for, and newer rows drop the oldest.
MAX_ROWS: Final = 1000


class Placed(Protocol):
    """A row with an id, and the position in the log that made it."""

    @property
    def id(self) -> str: ...

    @property
    def position(self) -> int: ...


T = TypeVar("T", bound=Placed)


class Paged(Generic[T]):
    """The pages so far, as one list without gaps. `next` is the cursor of the page behind them, None for none."""

    def __init__(self) -> None:
        self._rows: dict[str, T] = {}
        self._via: dict[str, str] = {}
        self.next: str | None = None

    @property
    def rows(self) -> Mapping[str, T]:
        """All rows by id, the newest first."""
        return self._rows

    @property
    def has_more(self) -> bool:
        """There is a further page, and room for it."""
        return self.next is not None and not self.is_full

    @property
    def is_full(self) -> bool:
        """No more fit."""
        return len(self._rows) >= MAX_ROWS

    def cursor_of(self, id_: str) -> str | None:
        """Return the cursor of the page that a row came with; None for the first page's, and for none."""
        return self._via.get(id_)

    def begin(self, rows: Sequence[T], next_: str | None) -> None:
        """Hold just this page."""
        self._rows, self._via, self.next = {}, {}, next_
        self._take(rows)

    def refresh(self, rows: Sequence[T], next_: str | None, *, stand: bool = False) -> bool:
        """Take in the first page as it is now; False where it was not.

        So many rows may be new that none of the page is known. Then the list begins anew, unless it has to `stand`
        for somebody who reads it.
        """
        if next_ is None or not self._rows:
            self.begin(rows, next_)
        elif any(row.id in self._rows for row in rows):
            self._drop([id_ for id_, row in self._rows.items() if _order(row) >= _order(rows[-1])])
            self._take(rows)
        elif stand:
            return False
        else:
            self.begin(rows, next_)
        return True

    def more(self, rows: Sequence[T], next_: str | None) -> None:
        """Take in the next page."""
        via, self.next = self.next, next_
        self._take(rows, via)

    def again(self, cursor: str, rows: Sequence[T]) -> None:
        """Take in a page that is here already, as it is now."""
        end = _order(rows[-1]) if rows else (0, "")
        self._drop(
            [id_ for id_, via in self._via.items() if via == cursor and _order(self._rows[id_]) >= end]
        )
        self._take(rows, cursor)

    def _drop(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            del self._rows[id_]
            self._via.pop(id_, None)

    def _take(self, rows: Sequence[T], via: str | None = None) -> None:
        self._rows |= {row.id: row for row in rows}
        if via is not None:
            self._via |= {row.id: via for row in rows}
        newest = sorted(self._rows.values(), key=_order, reverse=True)
        self._rows = {row.id: row for row in newest}
        if len(newest) > MAX_ROWS:
            self._drop([row.id for row in newest[MAX_ROWS:]])
            self.next = None


def _order(row: Placed) -> tuple[int, str]:
    return row.position, row.id
