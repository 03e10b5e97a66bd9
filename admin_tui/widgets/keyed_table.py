"""A table whose rows have keys. It is told all rows that there should be, and draws again only those that differ.

Not a `DataTable`: that one draws every visible cell again when one of them changes, and forgets the cursor's row when
rows move. This one follows the key under the cursor, keeps it as far from the top of the screen as it was, and turns
only what is on the screen into text.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from admin_tui.widgets.columns import Column, Row, body, column_at, head, widths

# Full policy: rows beyond are not shown, and the subtitle says how many.
MAX_ROWS: Final = 1000
HEADER: Final = 1


T = TypeVar("T")


class KeyedTable(ScrollView, Generic[T], can_focus=True):
    """A row is a value that can be compared; `draw` makes its cells: `Content`, or text that is never read as markup."""

    DEFAULT_CSS = """
    KeyedTable { overflow-x: hidden; overflow-y: auto; height: 1fr; scrollbar-size-vertical: 1;
        scrollbar-background: $background; scrollbar-background-hover: $background;
        scrollbar-color: $foreground 20%; scrollbar-color-hover: $foreground 35%;
    }
    KeyedTable > .keyed-table--head { color: $foreground-muted; }
    KeyedTable > .keyed-table--cursor { background: $foreground 8%; }
    KeyedTable:focus > .keyed-table--cursor { background: $primary 30%; }
    KeyedTable > .keyed-table--hover { background: $boost; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "keyed-table--head",
        "keyed-table--cursor",
        "keyed-table--hover",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor(-1)", "Up", show=False),
        Binding("down,j", "cursor(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "cursor(-100000)", "First", show=False),
        Binding("end", "cursor(100000)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    class Moved(Message):
        """The cursor is on another key; empty when there are no rows any more."""

        def __init__(self, table: "KeyedTable[Any]", key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> "KeyedTable[Any]":
            return self.table

    class Chosen(Message):
        """Somebody wants to see the row of this key."""

        def __init__(self, table: "KeyedTable[Any]", key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> "KeyedTable[Any]":
            return self.table

    class HeadClicked(Message):
        """Somebody wants another order of rows."""

        def __init__(self, table: "KeyedTable[Any]", column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

        @property
        def control(self) -> "KeyedTable[Any]":
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        draw: Callable[[T], Row],
        *,
        empty: str = "",
        follows: bool = False,
        id: str | None = None,  # noqa: A002 - the framework's word
        classes: str | None = None,
    ) -> None:
        """`empty`: what stands there when there are no rows. `follows`: a cursor on the first row stays on the first."""
        super().__init__(id=id, classes=classes)
        self._columns = columns
        self._draw_row = draw
        self._empty = empty
        self._follows = follows
        self._widths: dict[str, int] = {}
        self._rows: dict[str, T] = {}
        self._keys: list[str] = []
        self._at: dict[str, int] = {}
        self._cursor = ""
        self._hover = -1
        self._strips: dict[str, Strip] = {}
        self._hidden: frozenset[str] = frozenset()
        self._sorted: tuple[str, bool] = ("", False)

    # --- rows ---

    @property
    def keys(self) -> Sequence[str]:
        """All keys, from the top."""
        return self._keys

    @property
    def columns(self) -> Sequence[Column]:
        """All columns, those that are too many for the width too."""
        return self._columns

    @property
    def key(self) -> str:
        """The key under the cursor; empty when there are no rows."""
        return self._cursor

    @property
    def current(self) -> T | None:
        """The row under the cursor; None when there are no rows."""
        return self._rows.get(self._cursor)

    @property
    def rows(self) -> Mapping[str, T]:
        """All rows, from the top."""
        return self._rows

    def cells(self, row: T) -> Row:
        """Return a row's cells, as they are drawn."""
        return self._draw_row(row)

    def show(self, rows: Mapping[str, T]) -> None:
        """Let there be these rows in this order, at most `MAX_ROWS` of them.

        The cursor stays on its key and that key's line stays where it is on the screen. When the key is gone, the
        cursor is on the row that took its place.
        """
        keys = list(rows)[:MAX_ROWS]
        changed = [key for key in keys if key not in self._rows or self._rows[key] != rows[key]]
        moved = keys != self._keys
        if not changed and not moved:
            return
        before = self._at.get(self._cursor, 0)
        follows = self._follows and before == 0
        self._rows = {key: rows[key] for key in keys}
        for key in changed:
            self._strips.pop(key, None)
        if not moved:
            for key in changed:
                self._refresh_row(self._at[key])
            return
        self._keys = keys
        self._at = {key: index for index, key in enumerate(keys)}
        self._strips = {key: strip for key, strip in self._strips.items() if key in self._at}
        self._resize()
        if follows and keys:
            self._point(0)
        else:
            self._keep_cursor(before)
        self.refresh()

    def hide(self, *columns: str) -> None:
        """Show all columns but these."""
        hidden = frozenset(columns)
        if hidden != self._hidden:
            self._hidden = hidden
            self._lay_out()

    def redraw(self) -> None:
        """Draw all rows again: what `draw` goes by has changed."""
        self._strips.clear()
        self.refresh()

    def mark_sorted(self, column: str, *, descending: bool) -> None:
        """Show by which column the rows are ordered."""
        self._sorted = (column, descending)
        self.refresh()

    def move_to(self, key: str) -> None:
        """Put the cursor on a key, if it is there."""
        if key in self._at:
            self._point(self._at[key])

    def _keep_cursor(self, before: int) -> None:
        now = self._at.get(self._cursor)
        if now is None:
            self._cursor = self._keys[min(before, len(self._keys) - 1)] if self._keys else ""
            self.post_message(self.Moved(self, self._cursor))
            self._follow()
        elif now != before and self.scroll_offset.y:
            self.scroll_to(y=max(0, self.scroll_offset.y + now - before), animate=False, force=True)

    def _resize(self) -> None:
        self.virtual_size = Size(0, HEADER + len(self._keys))

    def _refresh_row(self, index: int) -> None:
        y = HEADER + index - self.scroll_offset.y
        if HEADER <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    # --- cursor ---

    def _point(self, index: int) -> None:
        if not self._keys:
            return
        index = max(0, min(index, len(self._keys) - 1))
        old, self._cursor = self._cursor, self._keys[index]
        if old != self._cursor:
            for key in (old, self._cursor):
                if key in self._at:
                    self._refresh_row(self._at[key])
            self.post_message(self.Moved(self, self._cursor))
        self._follow()

    def _follow(self) -> None:
        """Scroll no further than needed to have the cursor's row on the screen."""
        index, room = self._at.get(self._cursor, 0), max(1, self.size.height - HEADER)
        top = self.scroll_offset.y
        wanted = min(max(top, index - room + 1), index)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, force=True)

    def action_cursor(self, by: int) -> None:
        """Move the cursor by rows."""
        self._point(self._at.get(self._cursor, 0) + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by screens."""
        self.action_cursor(by * max(1, self.size.height - HEADER - 1))

    def action_choose(self) -> None:
        """Ask for the row under the cursor to be opened."""
        if self._cursor:
            self.post_message(self.Chosen(self, self._cursor))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a click on the cursor opens the row; one on the head asks for an order."""
        if event.y < HEADER:
            column = column_at(self._columns, self._widths, event.x)
            if column:
                self.post_message(self.HeadClicked(self, column))
            return
        index = event.y - HEADER + self.scroll_offset.y
        if 0 <= index < len(self._keys):
            if self._keys[index] == self._cursor:
                self.action_choose()
            self._point(index)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Light up the row under the mouse."""
        self._hover_over(event.y - HEADER + self.scroll_offset.y if event.y >= HEADER else -1)

    def on_leave(self) -> None:
        """Nothing is under the mouse."""
        self._hover_over(-1)

    def _hover_over(self, index: int) -> None:
        if index != self._hover:
            old, self._hover = self._hover, index
            for each in (old, index):
                if each >= 0:
                    self._refresh_row(each)

    # --- drawing ---

    def _on_resize(self, _: events.Resize) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        shown = [column for column in self._columns if column.key not in self._hidden]
        self._widths = widths(shown, self.size.width - 2)
        self._strips.clear()
        self._resize()
        self._follow()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        if y < HEADER:
            return self._head()
        index = y - HEADER + self.scroll_offset.y
        if index >= len(self._keys):
            return self._below(y)
        key = self._keys[index]
        if key == self._cursor:
            return self._line_of(key, self.get_visual_style("keyed-table--cursor"))
        if index == self._hover:
            return self._line_of(key, self.get_visual_style("keyed-table--hover"))
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._line_of(key, self.visual_style)
        return strip

    def _below(self, y: int) -> Strip:
        """What is under the last row: nothing, or in an empty table why it is so."""
        if self._keys or not self._empty or y != HEADER + 1:
            return self._line([], self.visual_style)
        return self._line([Segment(" " + self._empty, self._head_style)], self.visual_style)

    @property
    def _head_style(self) -> RichStyle:
        return self.get_visual_style("keyed-table--head").rich_style

    def _head(self) -> Strip:
        return self._line(
            head(self._columns, self._widths, self._sorted, self._head_style), self.visual_style
        )

    def _line_of(self, key: str, base: Style) -> Strip:
        cells = self._draw_row(self._rows[key])
        return self._line(
            body(self._columns, self._widths, cells, base, self.app.stylesheet.parse_style), base
        )

    def _line(self, segments: list[Segment], base: Style) -> Strip:
        return Strip(segments).adjust_cell_length(self.size.width, base.rich_style)
