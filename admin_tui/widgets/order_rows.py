"""Orders and holds as rows of tables, and each in full."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from textual.content import Content

from admin_tui.answers import HoldRow, OrderRow
from admin_tui.text import inert
from admin_tui.trade import Sums, Tab, Traded, Wanted, state_of
from admin_tui.widgets import figures
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.drawn import Fact, facts, pair, row
from admin_tui.widgets.figures import BAD, DIM, GOOD, INK, WARN
from admin_tui.widgets.log_lines import short
from admin_tui.wire import Price

COLUMNS: Final[dict[Tab, tuple[Column, ...]]] = {
    "orders": (
        Column("at", "time", 8),
        Column("id", "order", 12, rank=2),
        Column("sale", "sale", least=16),
        Column("buyer", "buyer", 12, rank=3),
        Column("quantity", "units", 5, "right", rank=1),
        Column("amount", "amount", 14, "right"),
        Column("payment", "payment", 12),
        Column("position", "position", 10, "right", rank=4),
    ),
    "holds": (
        Column("at", "time", 8),
        Column("id", "hold", 12, rank=2),
        Column("sale", "sale", least=16),
        Column("buyer", "buyer", 12, rank=3),
        Column("quantity", "units", 5, "right", rank=1),
        Column("left", "left", 7, "right"),
        Column("status", "status", 11),
        Column("position", "position", 10, "right", rank=4),
    ),
}
SIGNS: Final = {
    "started": ("○", DIM),
    "authorised": ("◐", WARN),
    "captured": ("✔", GOOD),
    "voided": ("x", DIM),
    "declined": ("✗", BAD),
    "held": ("◐", WARN),
    "confirmed": ("✔", GOOD),
    "released": ("↩", DIM),
    "expired": ("x", BAD),
}
UNITS: Final = 40
UNITS_A_LINE: Final = 5
LABELS: Final = 8


class Shown(msgspec.Struct, frozen=True):
    """A row as it is drawn: with the title of its sale where that is known, and how long a hold is still held."""

    row: Traded
    title: str = ""
    left: str = ""

    @property
    def name(self) -> str:
        """What the sale is called."""
        return self.title or self.row.sale_id


def shown(row: Traded, title: str, now: int) -> Shown:
    """Return a row as it is to be drawn now."""
    if isinstance(row, HoldRow) and row.status == "held":
        return Shown(row, title, figures.span(row.expires_at - now))
    return Shown(row, title)


def draw(each: Shown) -> Row:
    """Return the cells of an order or a hold."""
    row = each.row
    middle = _money(row) if isinstance(row, OrderRow) else _left(each.left)
    return (
        Content.styled(figures.clock(_at(row)), DIM),
        Content(short(row.id)),
        Content(inert(each.name, 80)),
        Content.styled(short(row.buyer_id), DIM),
        Content(f"{row.quantity:,}"),
        middle,
        signed(state_of(row)),
        Content.styled(f"{row.position:,}", DIM),
    )


def _at(row: Traded) -> int:
    return row.at if isinstance(row, OrderRow) else row.created_at


def _money(order: OrderRow) -> Content:
    return Content.styled(inert(figures.money(order.amount)), "bold")


def _left(left: str) -> Content:
    return Content.styled(left or "-", "bold" if left else DIM)


def signed(word: str) -> Content:
    """Return a state behind its sign."""
    sign, style = SIGNS.get(word, ("·", DIM))
    return Content.styled(f"{sign} {inert(word, 12)}", style)


# --- around the rows ---


def moves(*, until: int | None, folding: bool, stands: bool) -> Content:
    """Return whether the list moves."""
    if folding:
        return Content.styled("… the replay is on its way", WARN)
    if until is not None:
        return Content.styled(f"up to {until:,}", WARN)
    if stands:
        return Content.assemble(("‖ stands", WARN), (" (n: newest)", DIM))
    return Content.styled("● newest first", GOOD)


def head(wanted: Wanted, moves: Content, why: str) -> Content:
    """Return what the list is narrowed to, and whether it moves; or why it cannot be had."""
    parts = [Content.styled(inert(why, 120), BAD) if why else moves]
    parts += [pair(name, Content.styled(inert(value, 40), INK)) for name, value in wanted.params.items()] or [
        Content.styled("all", DIM)
    ]
    return Content.assemble(" ", row(parts))


def totals(over: Sums) -> Content:
    """Return the sums over the rows that are shown."""
    money = [
        Content.styled(inert(figures.money(Price(amount, currency))), "bold")
        for currency, amount in over.amounts.items()
    ]
    counted = [
        Content.assemble((f"{n:,}", ""), (f" {inert(name, 12)}", DIM)) for name, n in over.states.items()
    ]
    parts = [
        Content.assemble((f"{over.rows:,}", "bold"), (" shown", DIM)),
        Content.assemble((f"{over.units:,}", "bold"), (" units", DIM)),
        *money,
        *counted,
    ]
    return row(parts, " · ")


# --- one in full ---


def detail(each: Shown, now: int) -> Content:
    """Return all that is known of an order or a hold."""
    return facts(facts_of(each, now), LABELS)


def facts_of(each: Shown, now: int) -> list[Fact]:
    """Return the same as facts."""
    row = each.row
    own = _order_facts(row) if isinstance(row, OrderRow) else _hold_facts(row, now)
    return [
        *own,
        Fact("units", units(row.quantity, row.units, LABELS + 6)),
        Fact("sale", Content.styled(inert(each.name, 60), "bold")),
        Fact("", Content.styled(inert(row.sale_id, 40), DIM)),
        Fact("buyer", inert(row.buyer_id, 40)),
        Fact("order" if isinstance(row, OrderRow) else "hold", inert(row.id, 40)),
        *([Fact("hold", inert(row.hold_id, 40))] if isinstance(row, OrderRow) else []),
        Fact("position", f"{row.position:,}"),
    ]


def _order_facts(order: OrderRow) -> list[Fact]:
    each = ""
    if order.quantity > 1:
        one = Price(order.amount.amount // order.quantity, order.amount.currency)
        each = f"  {order.quantity:,} × {inert(figures.money(one))}"
    return [
        Fact("payment", signed(order.payment)),
        Fact("amount", Content.assemble(_money(order), (each, DIM))),
        Fact("at", _stamp(order.at)),
    ]


def _hold_facts(hold: HoldRow, now: int) -> list[Fact]:
    if hold.status == "held":
        ends = Content.assemble("in ", (figures.span(hold.expires_at - now), "bold"))
        end = [Fact("ends", Content.assemble(ends, (f"  at {figures.clock(hold.expires_at)}", DIM)))]
    else:
        settled = hold.settled_at or hold.expires_at
        took = f"  after {figures.span(settled - hold.created_at)}"
        end = [
            Fact("settled", Content.assemble(figures.clock(settled), (took, DIM))),
            Fact("expiry", Content.styled(figures.clock(hold.expires_at), DIM)),
        ]
    return [Fact("status", signed(hold.status)), *end, Fact("at", _stamp(hold.created_at))]


def _stamp(at: int) -> str:
    return f"{figures.day(at)}.{at % 1000:03}"


def units(quantity: int, numbers: Sequence[int], indent: int = 0) -> Content:
    """Return how many units, and which, in lines behind so many spaces."""
    shown = [f"#{number:,}" for number in numbers[:UNITS]]
    lines = [", ".join(shown[start : start + UNITS_A_LINE]) for start in range(0, len(shown), UNITS_A_LINE)]
    if len(numbers) > UNITS:
        lines.append(f"and {len(numbers) - UNITS:,} more")
    return Content.assemble(
        (f"{quantity:,}", "bold"), ("  " if lines else "", DIM), (f"\n{' ' * indent}".join(lines), DIM)
    )


# --- in a file ---


def table(tab: Tab, cell: str, rows: Sequence[Traded]) -> tuple[list[str], list[list[Any]]]:
    """Return columns and values of rows for a file: amounts in minor units beside their currency."""
    fields = OrderRow.__struct_fields__ if tab == "orders" else HoldRow.__struct_fields__
    columns = ["cell"]
    for name in fields:
        columns += ["amount", "currency"] if name == "amount" else [name]
    return columns, [[cell, *_values(each, fields)] for each in rows]


def _values(each: Traded, fields: Sequence[str]) -> list[Any]:
    values: list[Any] = []
    for name in fields:
        match getattr(each, name):
            case Price(amount=amount, currency=currency):
                values += [amount, currency]
            case list() as numbers:
                values.append(" ".join(str(number) for number in numbers))
            case value:
                values.append(value)
    return values
