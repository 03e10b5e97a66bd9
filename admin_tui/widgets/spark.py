"""Small plots of one series: its last values as bars, its newest value with the unit."""

from collections.abc import Sequence
from itertools import repeat

from textual.content import Content
from textual.widget import Widget

from admin_tui.text import fit
from admin_tui.widgets.figures import DIM, FAINT, INK, Figure

BARS = "▁▂▃▄▅▆▇█"
EIGHTHS = " " + BARS


def bars(values: Sequence[float], width: int, top: float | None = None) -> str:
    """Return the last `width` values as one line, padded on the left. Zero is the lowest bar, `top` the highest."""
    shown = values[-width:] if width > 0 else ()
    highest = max(top or 0.0, max(shown, default=0.0))
    return "".join(BARS[round(7 * _part(value, highest))] for value in shown).rjust(width)


def columns(values: Sequence[float], width: int, height: int) -> list[str]:
    """Return the last `width` values as `height` lines, the highest line first. A value above zero always shows."""
    shown = values[-width:] if width > 0 else ()
    highest = max(shown, default=0.0)
    drawn = [max(1, round(8 * height * _part(value, highest))) if value > 0 else 0 for value in shown]
    eighths = [0] * (width - len(shown)) + drawn
    return [
        "".join(EIGHTHS[min(8, max(0, eighth - row * 8))] for eighth in eighths)
        for row in range(height - 1, -1, -1)
    ]


def _part(value: float, highest: float) -> float:
    return min(1.0, max(0.0, value / highest)) if highest > 0 else 0.0


class Spark(Widget):
    """One series. One line high it is name, bars, value; higher it has the bars below name and value."""

    DEFAULT_CSS = """
    Spark { height: 1; }
    """

    def __init__(self, label: str, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id, classes=classes)
        self._label = label
        self._values: list[float] = []
        self._figure = Figure("-")
        self._style = INK

    def show(self, values: Sequence[float], figure: Figure, style: str = INK) -> None:
        """Show these values and this newest one; nothing is drawn again where nothing changed."""
        wanted = list(values)
        if (wanted, figure, style) != (self._values, self._figure, self._style):
            self._values, self._figure, self._style = wanted, figure, style
            self.refresh()

    def render(self) -> Content:
        width, height = self.size
        if height <= 1:
            return self._line(width)
        return Content("\n").join([self._head(width), *self._plot(width, height - 1)])

    def _line(self, width: int) -> Content:
        value = self._figure.content()
        room = width - len(self._label) - 2 - value.cell_length
        return Content.assemble(
            (self._label, DIM), " ", (bars(self._values, max(0, room)), self._style), " ", value
        )

    def _head(self, width: int) -> Content:
        value = self._figure.content()
        label = fit(self._label, max(0, width - value.cell_length - 1))
        gap = max(1, width - len(label) - value.cell_length)
        return Content.assemble((label, DIM), " " * gap, value)

    def _plot(self, width: int, height: int) -> list[Content]:
        if not any(self._values):
            blank = repeat(Content(" "), height - 1)
            return [*blank, Content.styled("▁" * width, FAINT)]
        return [Content.styled(line, self._style) for line in columns(self._values, width, height)]
