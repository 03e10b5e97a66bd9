"""The heat map: up to 500 cells in one widget that draws lines, so that a second's news costs a few strips."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from admin_tui.text import fit
from admin_tui.widgets.heat import GLYPHS, HOTTEST, OVER, Tile
from admin_tui.widgets.heat_grid import NARROW, Grid, grid


class _Looks(NamedTuple):
    """The styles of a theme: one a level, and those beside them."""

    levels: list[Style]
    label: Style
    cursor: Style
    gap: Segment


class HeatMap(Widget, can_focus=True):
    """Cells as tiles. Brightness and sign both say the level, so that it reads without colours too."""

    DEFAULT_CSS = """
    HeatMap { height: 1fr; }
    HeatMap > .heat-map--cool { color: $primary 18%; }
    HeatMap > .heat-map--warm { color: $primary; }
    HeatMap > .heat-map--hottest { color: #ffffff; }
    HeatMap > .heat-map--over { color: $warning; }
    HeatMap > .heat-map--down { color: $error; }
    HeatMap > .heat-map--label { color: $foreground-disabled; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "heat-map--cool",
        "heat-map--warm",
        "heat-map--hottest",
        "heat-map--over",
        "heat-map--down",
        "heat-map--label",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(0, -1)", "Up", show=False),
        Binding("down", "move(0, 1)", "Down", show=False),
        Binding("left", "move(-1, 0)", "Left", show=False),
        Binding("right", "move(1, 0)", "Right", show=False),
        Binding("home", "move(-1000, 0)", "Row's begin", show=False),
        Binding("end", "move(1000, 0)", "Row's end", show=False),
        Binding("ctrl+home", "to(0)", "First", show=False),
        Binding("ctrl+end", "to(-1)", "Last", show=False),
        Binding("enter", "choose", "Open cell"),
    ]

    cursor = reactive(0, repaint=False)
    mono = reactive(False)

    class Moved(Message):
        """The cursor is on another cell, or on the same one whose value changed hands."""

        def __init__(self, cell: str) -> None:
            super().__init__()
            self.cell = cell

        @property
        def can_replace_key(self) -> str:
            return self.cell

    class Chosen(Message):
        """Somebody wants to see this cell."""

        def __init__(self, cell: str) -> None:
            super().__init__()
            self.cell = cell

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id)
        self._tiles: list[Tile] = []
        self._levels = b""
        self._grid: Grid = grid(1, 1, 1)
        self._top = 0
        self._strips: dict[int, list[Strip]] = {}
        self._looks: _Looks | None = None

    # --- what is shown ---

    @property
    def tiles(self) -> Sequence[Tile]:
        """The tiles as last shown."""
        return self._tiles

    @property
    def current(self) -> Tile | None:
        """The tile under the cursor."""
        return self._tiles[self.cursor] if self.cursor < len(self._tiles) else None

    def show(self, tiles: Sequence[Tile]) -> None:
        """Show these; only rows in which a level changed are drawn again."""
        old, before = self._tiles, self._levels
        self._tiles = list(tiles)
        self._levels = bytes(tile.level for tile in self._tiles)
        if len(old) != len(self._tiles):
            self._lay_out()
            return
        size, cards = self._grid.columns, self._grid.is_cards
        for row in range(self._grid.rows):
            part = slice(row * size, (row + 1) * size)
            if before[part] != self._levels[part] or (cards and old[part] != self._tiles[part]):
                self._redraw(row)

    def select(self, cell: str) -> None:
        """Put the cursor on a cell, if it is there."""
        for index, tile in enumerate(self._tiles):
            if tile.id == cell:
                self.cursor = index
                return

    def _lay_out(self) -> None:
        width, height = self.size
        self._grid = grid(len(self._tiles), width, height)
        self.set_reactive(HeatMap.cursor, max(0, min(self.cursor, len(self._tiles) - 1)))
        self._looks = None
        self._strips.clear()
        self._follow()
        self.refresh()

    def _redraw(self, row: int) -> None:
        self._strips.pop(row, None)
        y = (row - self._top) * self._grid.pitch + self._grid.header
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, self._grid.pitch))

    def _follow(self) -> None:
        """Scroll so that the cursor's row is seen."""
        room = max(1, (self.size.height - self._grid.header) // self._grid.pitch)
        row = self.cursor // self._grid.columns
        top = min(max(self._top, row - room + 1), row)
        top = max(0, min(top, self._grid.rows - room))
        if top != self._top:
            self._top = top
            self.refresh()

    # --- drawing ---

    def render(self) -> RenderResult:
        return ""

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._looks = None
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        if y < self._grid.header:
            return self._ruler()
        row, line = divmod(y - self._grid.header, self._grid.pitch)
        row += self._top
        if row >= self._grid.rows or not self._tiles:
            return Strip.blank(self.size.width, self.rich_style)
        strips = self._strips.get(row)
        if strips is None:
            strips = self._strips[row] = [self._line(row, each) for each in range(self._grid.pitch)]
        return strips[line]

    def _line(self, row: int, line: int) -> Strip:
        """Return one of the lines of a row of tiles. Signs, names and row labels stand in the middle one."""
        looks = self._looks or self._look_up()
        size, middle = self._grid.columns, line == self._grid.pitch // 2
        segments: list[Segment] = []
        if self._grid.label:
            label = str(row * size) if line == 0 else ""
            segments.append(Segment(label.rjust(self._grid.label - 1) + " ", looks.label))
        for index in range(row * size, min((row + 1) * size, len(self._tiles))):
            here = index == self.cursor and self.has_focus
            look = looks.cursor if here else looks.levels[self._tiles[index].level]
            segments.append(Segment(self._writing(index, middle=middle), look))
            if self._grid.cell > NARROW:
                segments.append(looks.gap)
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _writing(self, index: int, *, middle: bool) -> str:
        tile, width = self._tiles[index], max(1, self._grid.cell - 1)
        if not middle:
            return " " * width
        glyph = GLYPHS[tile.level]
        if not self._grid.is_cards:
            return glyph.center(width)
        room = width - len(tile.text) - 5
        return f" {glyph} {fit(tile.id, room).ljust(room)} {tile.text} "

    def _ruler(self) -> Strip:
        """Column numbers, as many as there is room for."""
        looks = self._looks or self._look_up()
        cell = self._grid.cell
        step = 10 if cell == NARROW else 5
        marks = (str(column).ljust(cell * step) for column in range(0, self._grid.columns, step))
        offset = " " * ((cell - 1) // 2)
        text = (" " * self._grid.label + offset + "".join(marks))[
            : self._grid.label + self._grid.columns * cell
        ]
        return Strip([Segment(text, looks.label)]).adjust_cell_length(self.size.width, self.rich_style)

    def _look_up(self) -> _Looks:
        """Work out the styles, once for a theme."""
        base = Style(bgcolor=self.background_colors[1].rich_color)
        label = base + Style(color=self._colour("label").rich_color)
        gap = Segment(" ", base)
        if self.mono:
            plain = [base + Style(dim=level < 3, bold=level > 6) for level in range(OVER)]
            levels = [*plain, base + Style(bold=True), base + Style(bold=True)]
            self._looks = _Looks(levels, label, Style(reverse=True, bold=True), gap)
            return self._looks
        ramp = [_on(self._ramp(level), quiet=not self._grid.is_cards) for level in range(HOTTEST + 1)]
        levels = [*ramp, _on(self._colour("over"), bold=True), _on(self._colour("down"), bold=True)]
        self._looks = _Looks(levels, label, _on(Color.parse("#ffffff"), bold=True), gap)
        return self._looks

    def _ramp(self, level: int) -> Color:
        """Return a colour further from the background with each level."""
        cool, warm, hottest = (self._colour(name) for name in ("cool", "warm", "hottest"))
        half = HOTTEST * 0.75
        if level <= half:
            return cool.blend(warm, level / half)
        return warm.blend(hottest, (level - half) / (HOTTEST - half) * 0.8)

    def _colour(self, name: str) -> Color:
        return self.background_colors[1] + self.get_component_styles(f"heat-map--{name}").color

    # --- keys and mouse ---

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self._tiles) - 1))

    def watch_cursor(self, old: int, new: int) -> None:
        for index in {old, new}:
            self._redraw(index // self._grid.columns)
        self._follow()
        if self.current is not None:
            self.post_message(self.Moved(self.current.id))

    def watch_mono(self) -> None:
        self._looks = None
        self._strips.clear()

    def watch_has_focus(self, has_focus: bool) -> None:  # noqa: FBT001 - the framework calls it
        super().watch_has_focus(has_focus)
        self._redraw(self.cursor // self._grid.columns)

    def action_move(self, dx: int, dy: int) -> None:
        """Move the cursor; it stays in its row when it goes sideways."""
        size = self._grid.columns
        row, column = divmod(self.cursor, size)
        column = max(0, min(size - 1, column + dx))
        row = max(0, min(self._grid.rows - 1, row + dy))
        self.cursor = row * size + column

    def action_to(self, index: int) -> None:
        """Move the cursor to the first cell, or with a negative index to the last."""
        self.cursor = index if index >= 0 else len(self._tiles) - 1

    def action_choose(self) -> None:
        """Ask for the cell under the cursor to be shown."""
        if self.current is not None:
            self.post_message(self.Chosen(self.current.id))

    def _on_resize(self, _: events.Resize) -> None:
        self._lay_out()

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a click on the cursor opens the cell."""
        index = self._grid.index_at(event.x, event.y + self._top * self._grid.pitch)
        if index is None or index >= len(self._tiles):
            return
        if index == self.cursor:
            self.action_choose()
        self.cursor = index

    def on_mouse_scroll_down(self) -> None:
        self.action_move(0, 1)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(0, -1)


def _on(colour: Color, *, bold: bool = False, quiet: bool = False) -> Style:
    """Return a background of the colour with writing that can be read on it; quiet writing leaves it the say."""
    writing = colour.blend(colour.get_contrast_text(), 0.55 if quiet else 0.9)
    return Style(color=writing.rich_color, bgcolor=colour.rich_color, bold=bold)
