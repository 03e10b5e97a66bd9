"""Orders as rows of a table."""

from typing import Final

from textual.content import Content

from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.figures import DIM
from admin_tui.widgets.log_lines import short
from admin_tui.wire import OrderRow

ORDER_COLUMNS: Final = (
    Column("time", "time", 8, rank=1),
    Column("order", "order", 12, rank=3),
    Column("sale", "sale", least=12),
    Column("buyer", "buyer", 12, rank=4),
    Column("quantity", "qty", 5, "right"),
    Column("amount", "amount", 14, "right", rank=2),
    Column("payment", "payment", 12),
)


def draw_order(order: OrderRow) -> Row:
    """Return the cells of an order."""
    return (
        Content.styled(figures.clock(order.at), DIM),
        Content(short(order.id)),
        Content(inert(order.sale_id, 64)),
        Content.styled(short(order.buyer_id), DIM),
        Content.styled(f"{order.quantity:,}", "bold"),
        Content(figures.money(order.amount)),
        Content(inert(order.payment, 16)),
    )
