"""One number that matters, large where there is room, with what it is made of below."""

from typing import Final

from textual.content import Content
from textual.widget import Widget

from admin_tui.widgets.figures import DIM, STRONG, Figure, compact

LARGE: Final = 5
# Three lines a sign. What is not here stands on the last line as it is.
GLYPHS: Final = {
    "0": ("┏━┓", "┃ ┃", "┗━┛"),
    "1": ("╺┓ ", " ┃ ", "╺┻╸"),
    "2": ("╺━┓", "┏━┛", "┗━╸"),
    "3": ("╺━┓", " ━┫", "╺━┛"),
    "4": ("╻ ╻", "┗━┫", "  ╹"),
    "5": ("┏━╸", "┗━┓", "╺━┛"),
    "6": ("┏━╸", "┣━┓", "┗━┛"),
    "7": ("╺━┓", "  ┃", "  ╹"),
    "8": ("┏━┓", "┣━┫", "┗━┛"),
    "9": ("┏━┓", "┗━┫", "╺━┛"),
}


class Stat(Widget):
    """A name, a number, a note: five lines with large digits, or two lines of text."""

    DEFAULT_CSS = """
    Stat { height: 5; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, label: str, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id)
        self._label = label
        self._shown: tuple[float, Figure, Content, str] = (0.0, Figure("-"), Content(""), STRONG)

    def show(self, value: float, figure: Figure, note: Content | str = "", style: str = STRONG) -> None:
        """Show the number; where it is too wide, it is drawn shorter."""
        content = note if isinstance(note, Content) else Content.styled(note, DIM)
        old = self._shown
        if (value, figure, style) != (old[0], old[1], old[3]) or not content.is_same(old[2]):
            self._shown = (value, figure, content, style)
            self.refresh()

    def render(self) -> Content:
        """Return what there is room for."""
        value, figure, note, style = self._shown
        room = self.size.width - 1
        head = Content.styled(self._label, DIM)
        note = note.truncate(max(0, room), ellipsis=True)
        if self.size.height >= LARGE:
            text = figure.number if _width(figure.number) <= room else compact(value)
            return Content("\n").join([head, *(Content.styled(line, style) for line in large(text)), note])
        if len(self._label) + 1 + len(str(figure)) > room:
            figure = Figure(compact(value), figure.unit)
        return Content("\n").join([Content.assemble(head, " ", figure.content(style)), note])


def large(text: str) -> list[str]:
    """Return three lines with large digits."""
    signs = [GLYPHS.get(sign, (" " * len(sign), " " * len(sign), sign)) for sign in text]
    return ["".join(sign[line] for sign in signs) for line in range(3)]


def _width(text: str) -> int:
    return sum(3 if sign in GLYPHS else 1 for sign in text)
