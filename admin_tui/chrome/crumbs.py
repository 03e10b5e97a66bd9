"""The breadcrumbs: where the operator is, and the filter that is on."""

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual.widgets import Static

from admin_tui.text import inert

REPLAY_KEYS: Final = "←→ commit  ⇧←→ 10 s  space plays  x speed  end is now"


class Crumbs(Static):
    """One line: cell, mode, what is open in it, filter."""

    def show(self, trail: Sequence[str], pattern: str, *, replaying: bool = False) -> None:
        """Show a trail, and in a replay the keys that move it; draws only what changed."""
        line = Text(" ", no_wrap=True, overflow="ellipsis")
        for index, part in enumerate(trail):
            line.append(" ▸ " if index else "", "dim")
            line.append(inert(part, 40), "bold" if index == len(trail) - 1 else "")
        if pattern:
            line.append("   / ", "dim")
            line.append(inert(pattern, 60), "reverse")
            line.append("  esc clears", "dim")
        if replaying:
            line.append("   " + REPLAY_KEYS, "dim")
        if line != self.visual_text:
            self.visual_text = line
            self.update(line, layout=False)

    visual_text: Text = Text()
