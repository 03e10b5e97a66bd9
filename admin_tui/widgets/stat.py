"""One number that matters, large where there is room, with what it is made of below."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Digits

from admin_tui.widgets.drawn import Drawn
from admin_tui.widgets.figures import DIM, STRONG, Figure, compact

LARGE = 5


class Stat(Vertical):
    """A name, a number, a note. Two lines high it is one line of text and the note."""

    DEFAULT_CSS = """
    Stat { height: 5; width: 1fr; padding: 0 1 0 0; }
    Stat > Digits { height: 3; width: 1fr; text-style: bold; }
    Stat > .small { display: none; }
    Stat.-small > Digits, Stat.-small > .head { display: none; }
    Stat.-small > .small { display: block; }
    """

    def __init__(self, label: str, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id)
        self._label = label
        self._wanted: tuple[Figure, float, str] = (Figure("-"), 0.0, STRONG)

    def compose(self) -> ComposeResult:
        yield Drawn(classes="head")
        yield Digits("")
        yield Drawn(classes="small")
        yield Drawn(classes="note")

    def on_mount(self) -> None:
        self.query_one(".head", Drawn).show(Content.styled(self._label, DIM))

    def show(self, value: float, figure: Figure, note: Content | str = "", style: str = STRONG) -> None:
        """Show the number; where it is too wide, show it shorter."""
        self._wanted = (figure, value, style)
        self.query_one(".note", Drawn).show(note if isinstance(note, Content) else Content.styled(note, DIM))
        self._fit()

    def on_resize(self) -> None:
        self.set_class(self.size.height < LARGE, "-small")
        self._fit()

    def _fit(self) -> None:
        figure, value, style = self._wanted
        room = self.size.width - 1
        if len(self._label) + 1 + len(figure.number) > room:
            figure = Figure(compact(value), figure.unit)
        small = Content.assemble((self._label + " ", DIM), figure.content(style))
        self.query_one(".small", Drawn).show(small)
        digits = self.query_one(Digits)
        text = self._wanted[0].number
        text = compact(value) if _width(text) > room else text
        if digits.value != text:
            digits.update(text)


def _width(text: str) -> int:
    """Return how wide large digits are; points and commas are narrow."""
    return sum(1 if character in ".,:" else 3 for character in text)
