"""The breadcrumbs: where the operator is, the filter that is on, and where else one can go."""

from collections.abc import Sequence
from typing import Final

from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from admin_tui.keys import MODE_KEYS
from admin_tui.text import inert

REPLAY_KEYS: Final = "←→ commit  ⇧←→ 10 s  space plays  x speed  end is now"


class Crumbs(Static):
    """One line: cell, mode, what is open in it, filter; at its end the modes, to be clicked, or the keys of a replay."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._shown: tuple[object, ...] = ()

    def show(self, trail: Sequence[str], pattern: str, mode: str, *, replaying: bool = False) -> None:
        """Show a trail; draws only what changed."""
        width = self.size.width or self.app.size.width
        shown = (tuple(trail), pattern, mode, replaying, width)
        if shown != self._shown:
            self._shown = shown
            self.update(crumbs(trail, pattern, mode, width, replaying=replaying), layout=False)


def crumbs(trail: Sequence[str], pattern: str, mode: str, width: int, *, replaying: bool) -> Content:
    """Return the line for a width; what is at its end is left out where it has no room."""
    line = Content(" ")
    for index, part in enumerate(trail):
        style = "bold" if index == len(trail) - 1 else ""
        line += Content.assemble((" ▸ " if index else "", "dim"), (inert(part, 40), style))
    if pattern:
        line += Content.assemble(("   / ", "dim"), (inert(pattern, 60), "reverse"), ("  esc clears", "dim"))
    end = Content.styled(REPLAY_KEYS, "dim") if replaying else modes(mode)
    gap = width - line.cell_length - end.cell_length - 1
    return line + Content(" " * gap) + end if gap >= 1 else line


def modes(mode: str) -> Content:
    """Return the modes and their keys, the one that is shown standing out."""
    parts = []
    for name, key in MODE_KEYS.items():
        click = Style.from_meta({"@click": f"app.go('{name}')"})
        shown = Content.assemble((key.upper(), "dim"), " ", (name, "bold underline" if name == mode else ""))
        parts.append(shown.stylize(click))
    return Content(" ").join(parts)
