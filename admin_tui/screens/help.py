"""Help: all keys and commands."""

from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content

from admin_tui.commands import USAGE
from admin_tui.screens.base import TopScreen
from admin_tui.widgets.drawn import Drawn
from admin_tui.widgets.heatmap import HeatMap
from admin_tui.widgets.help_text import sections
from admin_tui.widgets.keyed_table import KeyedTable


class HelpScreen(TopScreen):
    """In columns, as many as there is room for."""

    MODE = "help"
    TITLE = "help"

    def body(self) -> ComposeResult:
        with VerticalScroll(id="help", classes="panel", can_focus=True) as panel:
            panel.border_title = "keys and commands"
            with Horizontal(id="help-columns"):
                for number in range(3):
                    yield Drawn(id=f"help-{number}", classes="help-column")

    def on_resize(self) -> None:
        self._lay_out()

    def on_mount(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        columns = 3 if self.size.width >= 160 else 2 if self.size.width >= 100 else 1
        for number, content in enumerate(in_columns(self._sections(), columns)):
            drawn = self.query_one(f"#help-{number}", Drawn)
            drawn.display = bool(content.plain)
            drawn.show(content)

    def _sections(self) -> list[Content]:
        app: Any = self.app
        widgets = {"lists": KeyedTable.BINDINGS, "heat map": HeatMap.BINDINGS}
        return sections(
            type(app).BINDINGS, type(app).NOT_TYPING - {"prompt"}, type(app).MODES, widgets, USAGE
        )


def in_columns(parts: list[Content], columns: int) -> list[Content]:
    """Return three columns of about the same height, of which only the first `columns` have something in them."""
    heights = [part.plain.count("\n") + 2 for part in parts]
    limit = sum(heights) / columns
    filled: list[list[Content]] = [[] for _ in range(3)]
    column, height = 0, 0.0
    for part, lines in zip(parts, heights, strict=True):
        if height + lines / 2 > limit and column < columns - 1:
            column, height = column + 1, 0.0
        filled[column].append(part)
        height += lines
    return [Content("\n\n").join(each) if each else Content("") for each in filled]
