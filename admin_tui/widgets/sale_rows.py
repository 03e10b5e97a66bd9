"""Sales as rows of a table, those that need eyes first."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from textual.content import Content

from admin_tui.filters import Filter
from admin_tui.forecast import demand, sell_through, sold_out
from admin_tui.picture import CellPicture, CellSale
from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.figures import DIM, INK, WARN
from admin_tui.widgets.spark import bars
from admin_tui.widgets.stockbar import bar
from admin_tui.wire import Frame, SaleRow

STOCK_WIDTH: Final = 12
DEMAND_WIDTH: Final = 12
COLUMNS: Final = (
    Column("state", "state", 8),
    Column("sale", "sale", least=20),
    Column("cell", "cell", 6, rank=6),
    Column("stock", "stock", STOCK_WIDTH, rank=2),
    Column("sold", "sold", 7, "right"),
    Column("left", "left", 7, "right", rank=1),
    Column("through", "%", 4, "right", rank=7),
    Column("demand", "demand", DEMAND_WIDTH, rank=4),
    Column("rate", "rate", 6, "right", rank=3),
    Column("out", "sold out", 9, "right", rank=5),
)
ORDER: Final = {"open": 0, "paused": 1, "armed": 2, "draft": 3}


# State, demand, newest move, id; then what tells apart what is the same in these; then the sale itself.
Listed = tuple[int, int, int, str, str, int, SaleRow]


def key_of(each: CellSale) -> str:
    """Return what tells a sale from all others: sales of different cells have one id where a cell is a copy."""
    return f"{each.cell}/{each.sale.id}"


def listed_of(cell: str, index: int, sale: SaleRow) -> Listed:
    """Return a sale behind what it is ordered by: open ones first, by their demand, then by the newest move.

    Demand counts in powers of two, so that rows do not jump about with every unit.
    """
    wanted = sum(sale.taken[-10:]).bit_length() if sale.state == "open" else 0
    return ORDER.get(sale.state, 9), -wanted, -sale.moved_at, sale.id, cell, index, sale


class Listing:
    """The sales of all cells. A cell's are listed anew when it has another frame, not when a picture is taken."""

    def __init__(self) -> None:
        self._cells: dict[str, tuple[Frame, list[Listed]]] = {}

    def of(
        self, cells: Iterable[CellPicture], pattern: Filter, others: Sequence[CellSale] = ()
    ) -> list[Listed]:
        """Return all sales that the pattern lets through, in no order; `others` where no frame has them."""
        self.note(cells)
        found: list[Listed] = []
        for cell in cells:
            if cell.frame is not None:
                found += self._cells[cell.id][1]
        if others:
            known = {(cell, id_) for _, _, _, id_, cell, _, _ in found}
            more = [each for each in others if (each.cell, each.sale.id) not in known]
            found += [listed_of(each.cell, index, each.sale) for index, each in enumerate(more)]
        return [listed for listed in found if _passes(pattern, listed)] if pattern else found

    def note(self, cells: Iterable[CellPicture]) -> None:
        """List what is new in the cells; called at every picture, no call of `of` has much to do."""
        known = self._cells
        for cell in cells:
            frame = cell.frame
            if frame is not None and (cell.id not in known or known[cell.id][0] is not frame):
                known[cell.id] = (
                    frame,
                    [listed_of(cell.id, index, sale) for index, sale in enumerate(frame.sales)],
                )

    @staticmethod
    def first(listed: Iterable[Listed], most: int) -> dict[str, CellSale]:
        """Return the rows that need eyes most, in their order."""
        return rows(heapq.nsmallest(most, listed))


def rows(listed: Iterable[Listed]) -> dict[str, CellSale]:
    """Return a row a sale, in the same order."""
    return {f"{cell}/{sale.id}": CellSale(cell, sale) for *_, cell, _, sale in listed}


def _passes(pattern: Filter, listed: Listed) -> bool:
    *_, cell, _, sale = listed
    return pattern.matches(sale.title, sale.state, cell, sale.id)


def draw(each: CellSale) -> Row:
    """Return the cells of a sale."""
    sale = each.sale
    is_open = sale.state == "open"
    rate = demand(sale.taken)
    return (
        figures.state(sale.state),
        Content(inert(sale.title or sale.id, 120)),
        Content.styled(inert(each.cell, 6), DIM),
        bar(STOCK_WIDTH, sold=sale.sold, held=sale.held, stock=sale.stock),
        Content.styled(f"{sale.sold:,}", "bold"),
        Content(f"{sale.available:,}"),
        figures.share(sell_through(sale.sold, sale.stock)).content(""),
        Content.styled(bars(sale.taken, DEMAND_WIDTH) if any(sale.taken) else "", INK),
        figures.rate(rate).content("") if is_open else Content.styled("-", DIM),
        out_in(sale),
    )


def out_in(sale: SaleRow) -> Content:
    """Return when a sale will be sold out, or that it is."""
    if sale.stock and sale.available <= 0:
        return Content.styled("all held" if sale.held else "sold out", WARN)
    forecast = sold_out(sale.available, sale.taken, is_open=sale.state == "open")
    if forecast.seconds is None:
        return Content.styled("-", DIM)
    return Content.styled(f"~{figures.span(1000 * forecast.seconds)}", WARN if forecast.seconds < 60 else "")


def _seconds_left(sale: SaleRow) -> float:
    forecast = sold_out(sale.available, sale.taken, is_open=sale.state == "open")
    return float("inf") if forecast.seconds is None else forecast.seconds


# What the columns are ordered by.
MEASURES: Final[dict[str, Callable[[Listed], Any]]] = {
    "sale": lambda listed: listed[-1].title.casefold(),
    "cell": lambda listed: listed[4],
    "stock": lambda listed: listed[-1].stock,
    "sold": lambda listed: listed[-1].sold,
    "left": lambda listed: listed[-1].available,
    "through": lambda listed: sell_through(listed[-1].sold, listed[-1].stock),
    "demand": lambda listed: sum(listed[-1].taken),
    "rate": lambda listed: demand(listed[-1].taken),
    "out": lambda listed: _seconds_left(listed[-1]),
}
