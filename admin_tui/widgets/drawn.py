"""Text that is drawn again only when it changed, and facts in two columns."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from textual.content import Content
from textual.widget import Widget

from admin_tui.widgets.figures import BAD, DIM, GOOD, WARN

MARKS = {"ok": ("✔", GOOD), "warn": ("⚠", WARN), "fail": ("✗", BAD)}


class Drawn(Widget):
    """Shows what it is given; the size is the style sheet's matter, so that news seldom moves anything."""

    DEFAULT_CSS = """
    Drawn { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id, classes=classes)
        self._shown = Content("")

    @property
    def content(self) -> Content:
        """What is shown."""
        return self._shown

    def show(self, content: Content) -> None:
        """Show this."""
        if not content.is_same(self._shown):
            grows = content.plain.count("\n") != self._shown.plain.count("\n")
            self._shown = content
            self.refresh(layout=grows and self.styles.is_auto_height)

    def render(self) -> Content:
        return self._shown


class Fact(NamedTuple):
    """`mark`: ok, warn or fail puts a sign before the value."""

    label: str
    value: Content | str
    mark: str = ""


def facts(rows: Sequence[Fact], label_width: int | None = None) -> Content:
    """Return a line a fact: the labels dim and aligned, then the values."""
    width = label_width or max((len(row.label) for row in rows), default=0)
    return Content("\n").join(
        [Content.assemble((row.label.ljust(width) + "  ", DIM), _mark(row.mark), row.value) for row in rows]
    )


def _mark(name: str) -> Content:
    if not name:
        return Content("")
    sign, style = MARKS.get(name, ("?", DIM))
    return Content.assemble((sign, style), " ")


def lines(parts: Iterable[Content]) -> Content:
    """Return the parts one below the other."""
    return Content("\n").join(list(parts))


def row(parts: Iterable[Content | None], between: str = "   ") -> Content:
    """Return the parts side by side, without those that are None."""
    return Content(between).join([part for part in parts if part is not None])


def pair(label: str, value: Content) -> Content:
    """Return a dim label and a value."""
    return Content.assemble((label + " ", DIM), value)


def entitle(widget: Widget, title: Content | str, subtitle: Content | str = "") -> None:
    """Give a widget these texts on its border. Setting one draws the whole widget again, so the same is not set."""
    for name, text in (("border_title", title), ("border_subtitle", subtitle)):
        content = text if isinstance(text, Content) else Content(text)
        if getattr(widget, name) != content.markup:
            setattr(widget, name, content)
