"""The lists of orders and holds as they are now, from the tables: all of them, not only the newest."""

from collections.abc import Sequence
from typing import Any

import msgspec

from server.ops.words import HoldRow, Holds, OrderRow, Orders, Price
from server.store import engine
from server.store.keyset import Keyset
from server.web import cursors

_ORDERS = """
    SELECT o.*, coalesce(p.status, 'authorised') AS payment
    FROM orders o LEFT JOIN payments p ON p.hold_id = o.hold_id"""
_HOLDS = "SELECT o.* FROM holds o"
_CHECKPOINT = "SELECT coalesce((SELECT position FROM checkpoint WHERE name = $1), 0)"

_PAYMENT = "coalesce(p.status, 'authorised') = {}"
_ORDER_HAS = "strpos(lower(concat_ws(' ', o.id, o.hold_id, o.sale_id, o.buyer_id)), lower({})) > 0"
_HOLD_HAS = "strpos(lower(concat_ws(' ', o.id, o.sale_id, o.buyer_id)), lower({})) > 0"


class Wanted(msgspec.Struct, frozen=True):
    """Which orders or holds. Empty filters select everything; `state` is a payment's or a hold's."""

    sale: str = ""
    buyer: str = ""
    state: str = ""
    q: str = ""
    limit: int = cursors.DEFAULT_LIMIT
    cursor: str | None = None


class _Found(msgspec.Struct, frozen=True):
    rows: list[Any]
    next: str | None
    position: int


async def orders(wanted: Wanted) -> Orders:
    """Return a page of orders, the newest first.

    Raises `Rejected`: bad_request on a cursor of another list, unavailable when Postgres is away.
    """
    found = await _page("orders", _ORDERS, _PAYMENT, _ORDER_HAS, wanted)
    return Orders([_order(row) for row in found.rows], found.next, found.position)


async def holds(wanted: Wanted) -> Holds:
    """Return a page of holds, the newest first. Raises like `orders`."""
    found = await _page("sales", _HOLDS, "o.status = {}", _HOLD_HAS, wanted)
    return Holds([_hold(row) for row in found.rows], found.next, found.position)


async def _page(projection: str, select: str, in_state: str, has: str, wanted: Wanted) -> _Found:
    name = "ops:orders" if select is _ORDERS else "ops:holds"
    conditions: list[tuple[str, Sequence[object]]] = []
    if wanted.cursor:
        last = cursors.decode(name, wanted.cursor, Keyset)
        conditions.append(("(o.position, o.id) < ({}, {})", (last.number, last.key)))
    for condition, value in (
        ("o.sale_id = {}", wanted.sale),
        ("o.buyer_id = {}", wanted.buyer),
        (in_state, wanted.state),
        (has, wanted.q),
    ):
        if value:
            conditions.append((condition, (value,)))
    query, values = _query(select, conditions)
    async with engine.query() as connection:
        position = await connection.fetchval(_CHECKPOINT, projection)
        rows = await connection.fetch(query, *values, wanted.limit + 1)
    shown = rows[: wanted.limit]
    more = len(rows) > wanted.limit
    following = cursors.encode(name, Keyset(shown[-1]["position"], shown[-1]["id"])) if more else None
    return _Found(shown, following, position)


def _query(select: str, conditions: Sequence[tuple[str, Sequence[object]]]) -> tuple[str, list[object]]:
    """Put a query together of constant parts: what was asked for comes as arguments alone."""
    values: list[object] = []
    parts = []
    for condition, given in conditions:
        places = [f"${len(values) + place}" for place in range(1, len(given) + 1)]
        values += given
        parts.append(condition.format(*places))
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    return f"{select}{where} ORDER BY o.position DESC, o.id DESC LIMIT ${len(values) + 1}", values


def _order(row: Any) -> OrderRow:
    units = list(row["units"])
    return OrderRow(
        row["id"],
        row["hold_id"],
        row["sale_id"],
        row["buyer_id"],
        len(units),
        units,
        Price(row["price_amount"] * len(units), row["price_currency"]),
        row["payment"],
        row["placed_at"],
        row["position"],
    )


def _hold(row: Any) -> HoldRow:
    return HoldRow(
        row["id"],
        row["sale_id"],
        row["buyer_id"],
        row["quantity"],
        list(row["units"]),
        row["status"],
        row["created_at"],
        row["expires_at"],
        row["settled_at"],
        row["position"],
    )
