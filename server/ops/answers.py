"""Answers to questions about the board, now or as of a moment. PURE."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from cells.kernel.errors import Rejected
from server.ops import rows, words
from server.ops.asks import MAX_LIMIT, MAX_TEXT, AskHolds, AskMessages, AskOrders, AskRooms, AskSale, AskSales
from server.ops.state import State

Row = TypeVar("Row", words.OrderRow, words.HoldRow)


def clamped(limit: int) -> int:
    """Return how many rows a page may have."""
    return max(1, min(limit, MAX_LIMIT))


def checked(*texts: str) -> None:
    """Refuse filters that are too long. Raises `Rejected` (bad_request)."""
    if any(len(text) > MAX_TEXT for text in texts):
        raise Rejected("bad_request", f"A filter has at most {MAX_TEXT} characters.")


def sales(board: State, ask: AskSales, at: int, target: int | None) -> words.Sales:
    """Return a page of sales. Raises `Rejected` (bad_request)."""
    checked(ask.state, ask.q, ask.cursor)
    wanted = ask.q.casefold()
    after = _sale_cursor(ask.cursor) if ask.cursor else None
    found = (
        (rows.sale_key(sale_id, sale), sale)
        for sale_id, sale in board.sales.items()
        if (not ask.state or sale.state == ask.state)
        and _has(wanted, sale_id, sale.title, sale.merchant_id, sale.product_id)
    )
    ordered = sorted((each for each in found if after is None or each[0] > after), key=lambda each: each[0])
    page, more = rows.paged(ordered, clamped(ask.limit))
    last = page[-1][0] if page else None
    cursor = f"{int(last[0])}.{-last[1]}.{last[2]}" if more and last else None
    return words.Sales([rows.sale_row(key[2], s, at) for key, s in page], cursor, board.position, target)


def _sale_cursor(cursor: str) -> rows.SaleKey:
    idle, _, rest = cursor.partition(".")
    moved, _, sale_id = rest.partition(".")
    try:
        return bool(int(idle)), -int(moved), sale_id
    except ValueError:
        raise Rejected("bad_request", "This cursor is not one of this list.") from None


def sale(board: State, ask: AskSale, at: int, target: int | None) -> words.SaleDetail:
    """Return one sale. Raises `Rejected` (not_found)."""
    found = board.sales.get(ask.id)
    if found is None:
        raise Rejected("not_found", "There is no such sale at this moment, or it was over for too long.")
    return words.SaleDetail(rows.sale_row(ask.id, found, at), rows.moves(found), board.position, target)


def orders(board: State, ask: AskOrders, target: int | None) -> words.Orders:
    """Return a page of the newest orders. Raises `Rejected` (bad_request)."""
    checked(ask.sale, ask.buyer, ask.payment, ask.q, ask.cursor)
    wanted = ask.q.casefold()
    found = (
        rows.order_row(hold_id, order)
        for hold_id, order in rows.newest_orders(board)
        if ask.sale in ("", order.sale_id)
        and ask.buyer in ("", order.buyer_id)
        and ask.payment in ("", order.payment)
        and _has(wanted, order.id, hold_id, order.sale_id, order.buyer_id)
    )
    page, cursor = _page(found, ask.cursor, ask.limit)
    return words.Orders(page, cursor, board.position, target)


def holds(board: State, ask: AskHolds, target: int | None) -> words.Holds:
    """Return a page of the newest holds. Raises `Rejected` (bad_request)."""
    checked(ask.sale, ask.buyer, ask.status, ask.q, ask.cursor)
    wanted = ask.q.casefold()
    found = (
        rows.hold_row(hold_id, hold)
        for hold_id, hold in rows.newest_holds(board)
        if ask.sale in ("", hold.sale_id)
        and ask.buyer in ("", hold.buyer_id)
        and ask.status in ("", hold.status)
        and _has(wanted, hold_id, hold.sale_id, hold.buyer_id)
    )
    page, cursor = _page(found, ask.cursor, ask.limit)
    return words.Holds(page, cursor, board.position, target)


def _page(found: Iterable[Row], cursor: str, limit: int) -> tuple[list[Row], str | None]:
    page, more = rows.paged(_behind(found, cursor) if cursor else found, clamped(limit))
    return page, f"{page[-1].position}.{page[-1].id}" if more else None


def _behind(found: Iterable[Row], cursor: str) -> Iterator[Row]:
    """Yield what comes behind a row in the order of the list, whether or not that row is still there."""
    text, _, row_id = cursor.partition(".")
    try:
        position = int(text)
    except ValueError:
        raise Rejected("bad_request", "This cursor is not one of this list.") from None
    passed = False
    for row in found:
        if row.position < position or (row.position == position and passed):
            yield row
        passed = passed or row.id == row_id


def rooms(board: State, ask: AskRooms, at: int, target: int | None) -> words.Rooms:
    """Return the rooms that were last spoken in."""
    return words.Rooms(rows.room_rows(board, at, clamped(ask.limit)), board.position, target)


def messages(board: State, ask: AskMessages, target: int | None) -> words.Messages:
    """Return the newest messages of a room. Raises `Rejected` (not_found)."""
    room = board.rooms.get(ask.room)
    if room is None and ask.room not in board.sales:
        raise Rejected("not_found", "There is no such room at this moment.")
    found = rows.message_rows(ask.room, room, ask.before, clamped(ask.limit)) if room else []
    return words.Messages(found, board.position, target)


def _has(wanted: str, *texts: str) -> bool:
    return not wanted or any(wanted in text.casefold() for text in texts)
