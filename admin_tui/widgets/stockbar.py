"""What became of a sale's units, in one bar: sold, held, still there."""

from textual.content import Content
from textual.widget import Widget

from admin_tui.widgets.figures import DIM, FAINT, INK, WARN

SOLD, HELD, LEFT = "━", "╍", "─"


def parts(width: int, *, sold: int, held: int, stock: int) -> tuple[int, int, int]:
    """Return the lengths for sold, held and left, `width` in all. What is not zero shows, as far as there is room."""
    if stock <= 0 or width <= 0:
        return 0, 0, max(0, width)
    sold, held = min(max(0, sold), stock), min(max(0, held), stock)
    held = min(held, stock - sold)
    left = stock - sold - held
    lengths = [amount * width // stock for amount in (sold, held, left)]
    for index, amount in enumerate((sold, held, left)):
        if amount and not lengths[index]:
            lengths[index] = 1
    while sum(lengths) > width:
        lengths[lengths.index(max(lengths))] -= 1
    lengths[_largest_remainder(width, stock, (sold, held, left))] += width - sum(lengths)
    return lengths[0], lengths[1], lengths[2]


def _largest_remainder(width: int, stock: int, amounts: tuple[int, int, int]) -> int:
    remainders = [amount * width % stock if amount else -1 for amount in amounts]
    return remainders.index(max(remainders))


def bar(width: int, *, sold: int, held: int, stock: int) -> Content:
    """Return the bar; the three parts differ in sign as well as in colour."""
    lengths = parts(width, sold=sold, held=held, stock=stock)
    return Content.assemble((SOLD * lengths[0], INK), (HELD * lengths[1], WARN), (LEFT * lengths[2], FAINT))


class StockBar(Widget):
    """The bar with its figures below it, two lines."""

    DEFAULT_CSS = """
    StockBar { height: 2; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the framework's word
        super().__init__(id=id)
        self._amounts = (0, 0, 0, 0)

    def show(self, *, sold: int, held: int, available: int, stock: int) -> None:
        """Show these amounts."""
        wanted = (sold, held, available, stock)
        if wanted != self._amounts:
            self._amounts = wanted
            self.refresh()

    def render(self) -> Content:
        sold, held, available, stock = self._amounts
        legend = Content.assemble(
            (SOLD, INK), (" sold ", DIM), (f"{sold:,}", "bold"),
            "   ", (HELD, WARN), (" held ", DIM), (f"{held:,}", "bold"),
            "   ", (LEFT, FAINT), (" left ", DIM), (f"{available:,}", "bold"),
            (f" of {stock:,}", DIM),
        )  # fmt: skip
        return Content("\n").join([bar(self.size.width, sold=sold, held=held, stock=stock), legend])
