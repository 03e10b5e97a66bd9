"""The board in the words of the operators' API. PURE."""

from collections.abc import Iterable, Iterator
from heapq import nlargest, nsmallest
from typing import Any, Final, TypeVar, cast

from server.ops import words
from server.ops.state import HOLDS, MESSAGES, MOVES, ORDERS, Hold, Order, Room, Sale, State

LIVE: Final = frozenset({"armed", "open", "paused"})
MAX_UNITS: Final = 20_000
"""Numbers of units on one page: a page that has so many ends early."""

UNITS: Final = {
    "holds": "1/s",
    "orders": "1/s",
    "released": "1/s",
    "expired": "1/s",
    "messages": "1/s",
    "commits": "1/s",
    "requests": "1/s",
    "refusals": "1/s",
    "sockets": "",
    "deliveries": "1/s",
}

T = TypeVar("T")
SaleKey = tuple[bool, int, str]


# --- sales ---------------------------------------------------------------------------------------------------------


def sale_key(sale_id: str, sale: Sale) -> SaleKey:
    """Return what sales are sorted by: live ones first, then the newest moved."""
    return sale.state not in LIVE, -sale.moved_position, sale_id


def sale_row(sale_id: str, sale: Sale, at: int) -> words.SaleRow:
    """Return a sale, with what it granted in the minute before `at`."""
    return words.SaleRow(
        sale_id,
        sale.merchant_id,
        sale.product_id,
        sale.title,
        cast(words.SaleState, sale.state),
        sale.revision,
        words.Price(sale.amount, sale.currency),
        sale.stock,
        sale.stock - sale.held - sale.sold,
        sale.held,
        sale.sold,
        sale.holds,
        sale.orders,
        sale.released,
        sale.expired,
        sale.oversold,
        sale.duplicate_units,
        sale.throttle,
        sale.starts_at,
        sale.ends_at,
        sale.created_at,
        sale.moved_at,
        sale.moved_by,
        sale.reason,
        taken(sale, at),
    )


def taken(sale: Sale, at: int) -> list[int]:
    """Return the units granted in each whole second of the minute before `at`; nothing when there were none."""
    now = at // 1000
    points = [sale.taken.get(second, 0) for second in range(now - words.HISTORY, now)] if sale.taken else []
    return points if any(points) else []


def first_sales(state: State, count: int) -> list[tuple[str, Sale]]:
    """Return the sales to look at. A tenth of the places is for the newest moved: who ends a sale wants to see it end."""
    first = nsmallest(count, state.sales.items(), key=lambda item: sale_key(*item))
    newest = nlargest(count // 10, state.sales.items(), key=lambda item: item[1].moved_position)
    known = {sale_id for sale_id, _ in first}
    missing = [item for item in newest if item[0] not in known]
    return first[: count - len(missing)] + missing


def moves(sale: Sale) -> list[words.Move]:
    """Return the newest changes of a sale, the newest first."""
    newest = sale.moves[-MOVES:][::-1]
    return [words.Move(m.at, m.position, m.by, m.what, m.reason, m.throttle, m.name) for m in newest]


def totals(state: State, sockets: int) -> words.Totals:
    """Return the sums over all sales, those that left the board among them."""
    gone = state.gone
    counts = dict.fromkeys(("armed", "open", "paused"), 0)
    counts |= {"draft": gone.draft, "ended": gone.ended, "killed": gone.killed}
    stock, held, sold = gone.stock, gone.held, gone.sold
    oversold, duplicates, orders, holds = gone.oversold, gone.duplicate_units, gone.orders, gone.holds
    for sale in state.sales.values():
        counts[sale.state] += 1
        stock += sale.stock
        held += sale.held
        sold += sale.sold
        oversold += sale.oversold
        duplicates += sale.duplicate_units
        orders += sale.orders
        holds += sale.holds
    return words.Totals(
        sales=sum(counts.values()),
        **counts,
        stock=stock,
        available=stock - held - sold,
        held=held,
        sold=sold,
        oversold=oversold,
        duplicate_units=duplicates,
        orders=orders,
        holds=holds,
        messages=state.messages,
        rooms=len(state.rooms) + gone.rooms,
        sockets=sockets,
    )


# --- series --------------------------------------------------------------------------------------------------------


def log_series(state: State, at: int) -> list[words.Series]:
    """Return what the log counts by the second, in the minute before `at`."""
    now = at // 1000
    seconds = [state.seconds.get(second) for second in range(now - words.HISTORY, now)]
    found = []
    for name in words.LOG_SERIES:
        history = [float(getattr(second, name)) if second is not None else 0.0 for second in seconds]
        found.append(words.Series(name, UNITS[name], history[-1], history))
    return found


# --- orders and holds ----------------------------------------------------------------------------------------------


def order_row(hold_id: str, order: Order) -> words.OrderRow:
    """Return an order."""
    return words.OrderRow(
        order.id,
        hold_id,
        order.sale_id,
        order.buyer_id,
        len(order.units),
        list(order.units),
        words.Price(order.amount, order.currency),
        cast(words.PaymentState, order.payment),
        order.at,
        order.position,
    )


def hold_row(hold_id: str, hold: Hold) -> words.HoldRow:
    """Return a hold."""
    return words.HoldRow(
        hold_id,
        hold.sale_id,
        hold.buyer_id,
        len(hold.units),
        list(hold.units),
        cast(words.HoldState, hold.status),
        hold.created_at,
        hold.expires_at,
        hold.settled_at,
        hold.position,
    )


def newest_orders(state: State) -> Iterator[tuple[str, Order]]:
    """Yield the newest orders by hold, the newest first."""
    return iter(list(state.orders.items())[-ORDERS:][::-1])


def newest_holds(state: State) -> Iterator[tuple[str, Hold]]:
    """Yield the newest holds, the newest first."""
    for hold_id in reversed(state.recent[-HOLDS:]):
        hold = state.holds.get(hold_id)
        if hold is not None:
            yield hold_id, hold


# --- chat ----------------------------------------------------------------------------------------------------------


def room_row(state: State, key: str, room: Room, at: int) -> words.RoomRow:
    """Return a room as of `at`."""
    sale = state.sales.get(key)
    now = at // 1000
    return words.RoomRow(
        key,
        sale.title if sale else "",
        room.messages,
        room.deleted,
        room.last_at,
        sum(room.spoken.get(second, 0) for second in range(now - words.HISTORY, now)),
        room.locked,
        room.slow_seconds * 1000,
        sum(until > at for until in room.muted.values()),
        len(room.banned),
    )


def room_rows(state: State, at: int, limit: int) -> list[words.RoomRow]:
    """Return the rooms that were last spoken in, the last one first."""
    chosen = nsmallest(limit, state.rooms.items(), key=lambda item: (-item[1].last_at, item[0]))
    return [room_row(state, key, room, at) for key, room in chosen]


def message_rows(key: str, room: Room, before: int | None, limit: int) -> list[words.MessageRow]:
    """Return the newest messages of a room in front of `before`, the newest first."""
    chosen = [m for m in reversed(room.newest[-MESSAGES:]) if before is None or m.s < before]
    return [
        words.MessageRow(m.id, key, m.s, m.user, m.name, m.role, m.text, m.at, m.deleted)
        for m in chosen[:limit]
    ]


# --- pages ---------------------------------------------------------------------------------------------------------


def paged(rows: Iterable[T], limit: int) -> tuple[list[T], bool]:
    """Return a page of rows and whether there are more. A page with too many units on it ends early."""
    page: list[T] = []
    units = 0
    for row in rows:
        if len(page) >= limit or (page and units > MAX_UNITS):
            return page, True
        page.append(row)
        units += len(cast(Any, row).units) if hasattr(row, "units") else 0
    return page, False
