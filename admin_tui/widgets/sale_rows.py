"""Sales as rows of a table, those that need eyes first."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from textual.content import Content

from admin_tui.forecast import demand, sell_through, sold_out
from admin_tui.picture import CellSale
from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.figures import DIM, INK, WARN
from admin_tui.widgets.spark import bars
from admin_tui.widgets.stockbar import bar
from admin_tui.wire import SaleRow

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


def key_of(each: CellSale) -> str:
    """Return what tells a sale from all others: sales of different cells may have one id in a copied cell."""
    return f"{each.cell}/{each.sale.id}"


def recent(sale: SaleRow) -> int:
    """Return the units taken in the last ten seconds."""
    return sum(sale.taken[-10:])


def by_need(sales: Iterable[CellSale]) -> list[CellSale]:
    """Return open sales first, those with most demand before the others, then by the newest move."""
    return sorted(
        sales,
        key=lambda each: (
            ORDER.get(each.sale.state, 9),
            -recent(each.sale),
            -each.sale.moved_at,
            each.sale.id,
        ),
    )


def rows(sales: Sequence[CellSale]) -> dict[str, CellSale]:
    """Return a row a sale, in the same order."""
    return {key_of(each): each for each in sales}


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


def _seconds_left(each: CellSale) -> float:
    forecast = sold_out(each.sale.available, each.sale.taken, is_open=each.sale.state == "open")
    return float("inf") if forecast.seconds is None else forecast.seconds


# What the columns are ordered by.
MEASURES: Final[dict[str, Callable[[CellSale], Any]]] = {
    "sale": lambda each: each.sale.title.casefold(),
    "cell": lambda each: each.cell,
    "stock": lambda each: each.sale.stock,
    "sold": lambda each: each.sale.sold,
    "left": lambda each: each.sale.available,
    "through": lambda each: sell_through(each.sale.sold, each.sale.stock),
    "demand": lambda each: sum(each.sale.taken),
    "rate": lambda each: demand(each.sale.taken),
    "out": _seconds_left,
}
