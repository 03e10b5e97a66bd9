"""Orders and holds as rows of tables, and each in full."""

from typing import Final

from textual.content import Content

from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.drawn import Fact
from admin_tui.widgets.figures import BAD, DIM, GOOD, WARN
from admin_tui.widgets.log_lines import short
from admin_tui.wire import HoldRow, OrderRow

ORDER_COLUMNS: Final = (
    Column("at", "time", 8),
    Column("id", "order", 12, rank=2),
    Column("sale", "sale", least=16),
    Column("buyer", "buyer", 12, rank=3),
    Column("quantity", "units", 5, "right", rank=1),
    Column("amount", "amount", 14, "right"),
    Column("payment", "payment", 11),
)
HOLD_COLUMNS: Final = (
    Column("at", "time", 8),
    Column("id", "hold", 12, rank=2),
    Column("sale", "sale", least=16),
    Column("buyer", "buyer", 12, rank=3),
    Column("quantity", "units", 5, "right", rank=1),
    Column("left", "left", 8, "right"),
    Column("status", "status", 11),
)
PAYMENTS: Final = {
    "captured": ("✔", GOOD),
    "authorised": ("◐", WARN),
    "voided": ("x", DIM),
    "failed": ("✗", BAD),
}
STATUSES: Final = {
    "held": ("◐", WARN),
    "confirmed": ("✔", GOOD),
    "released": ("↩", DIM),
    "expired": ("x", BAD),
}
UNITS: Final = 40


def draw_order(order: OrderRow, title: str) -> Row:
    """Return the cells of an order; `title` is that of its sale."""
    return (
        Content.styled(figures.clock(order.at), DIM),
        Content(short(order.id)),
        Content(inert(title, 80)),
        Content.styled(short(order.buyer_id), DIM),
        Content(f"{order.quantity:,}"),
        Content.styled(figures.money(order.amount), "bold"),
        signed(order.payment, PAYMENTS),
    )


def draw_hold(hold: HoldRow, title: str, now: int) -> Row:
    """Return the cells of a hold; what is held shows for how long it still is."""
    left = figures.span(hold.expires_at - now) if hold.status == "held" else "-"
    return (
        Content.styled(figures.clock(hold.created_at), DIM),
        Content(short(hold.id)),
        Content(inert(title, 80)),
        Content.styled(short(hold.buyer_id), DIM),
        Content(f"{hold.quantity:,}"),
        Content.styled(left, "bold" if hold.status == "held" else DIM),
        signed(hold.status, STATUSES),
    )


def signed(word: str, signs: dict[str, tuple[str, str]]) -> Content:
    """Return a word behind its sign."""
    sign, style = signs.get(word, ("·", DIM))
    return Content.styled(f"{sign} {inert(word, 12)}", style)


def order_facts(order: OrderRow, title: str) -> list[Fact]:
    """Return all that is known of an order."""
    return [
        Fact("payment", signed(order.payment, PAYMENTS)),
        Fact("amount", Content.styled(figures.money(order.amount), "bold")),
        Fact("units", units(order.quantity, order.units)),
        Fact("sale", Content.styled(inert(title, 60), "bold")),
        Fact("", Content.styled(inert(order.sale_id, 40), DIM)),
        Fact("buyer", inert(order.buyer_id, 40)),
        Fact("order", inert(order.id, 40)),
        Fact("hold", inert(order.hold_id, 40)),
        Fact("at", figures.day(order.at)),
        Fact("position", Content.assemble(f"{order.position:,}", ("  l: in the log", DIM))),
    ]


def hold_facts(hold: HoldRow, title: str, now: int) -> list[Fact]:
    """Return all that is known of a hold."""
    if hold.status == "held":
        end = Fact("ends", Content.assemble("in ", (figures.span(hold.expires_at - now), "bold")))
    else:
        settled = hold.settled_at or hold.expires_at
        end = Fact("settled", f"{figures.clock(settled)}, after {figures.span(settled - hold.created_at)}")
    return [
        Fact("status", signed(hold.status, STATUSES)),
        end,
        Fact("units", units(hold.quantity, hold.units)),
        Fact("sale", Content.styled(inert(title, 60), "bold")),
        Fact("", Content.styled(inert(hold.sale_id, 40), DIM)),
        Fact("buyer", inert(hold.buyer_id, 40)),
        Fact("hold", inert(hold.id, 40)),
        Fact("at", figures.day(hold.created_at)),
        Fact("position", Content.assemble(f"{hold.position:,}", ("  l: in the log", DIM))),
    ]


def units(quantity: int, numbers: list[int]) -> Content:
    """Return how many units, and which."""
    which = ", ".join(f"#{number:,}" for number in numbers[:UNITS])
    more = f" and {len(numbers) - UNITS:,} more" if len(numbers) > UNITS else ""
    return Content.assemble((f"{quantity:,}", "bold"), (f"  {which}{more}" if numbers else "", DIM))
