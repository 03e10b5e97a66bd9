"""The names of the lists that a screen has, with how much is in each; the one that is shown stands out."""

from collections.abc import Mapping, Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from admin_tui.widgets.figures import DIM, compact


class TabLine(Widget):
    """One line. A click on a name asks for its list."""

    DEFAULT_CSS = """
    TabLine { height: 1; width: auto; }
    """

    class Chosen(Message):
        """Somebody wants to see the list of this name."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id)
        self._names = names
        self._current = names[0]
        self._counts: Mapping[str, int] = {}

    def show(self, current: str, counts: Mapping[str, int]) -> None:
        """Show which one is shown, and how much is in each."""
        if (current, counts) != (self._current, self._counts):
            wide = [len(part) for part in self._parts()]
            self._current, self._counts = current, counts
            self.refresh(layout=wide != [len(part) for part in self._parts()])

    def _parts(self) -> list[Content]:
        return [self._part(name) for name in self._names]

    def _part(self, name: str) -> Content:
        style = "bold reverse" if name == self._current else DIM
        count = f" {compact(self._counts[name])}" if name in self._counts else ""
        return Content.styled(f" {name}{count} ", style)

    def render(self) -> Content:
        return Content(" ").join(self._parts())

    def on_click(self, event: events.Click) -> None:
        """Ask for the list whose name is under the mouse."""
        left = 0
        for name, part in zip(self._names, self._parts(), strict=True):
            if left <= event.x < left + part.cell_length:
                self.post_message(self.Chosen(name))
            left += part.cell_length + 1
