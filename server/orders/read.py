"""The tables of orders and payments, kept up with the log, and what buyers and merchants ask of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cells.engine.project import Recorded
from cells.kernel.clock import rfc3339
from cells.kernel.codec import Registry
from cells.kernel.ids import is_id
from cells.kernel.money import Money
from cells.log.chain import Broken
from server.flash_sale import model as flash_sale
from server.orders.fold import fold
from server.orders.model import Order, OrderPage
from server.payments import model as payments
from server.store import engine
from server.store.engine import Connection
from server.store.keyset import Keyset, position_of
from server.web import cursors

_PLACE = """
    INSERT INTO orders (id, sale_id, hold_id, buyer_id, merchant_id, product_id, title, units, price_amount,
                        price_currency, payment_id, placed_at, position)
    SELECT u.id, h.sale_id, h.id, h.buyer_id, s.merchant_id, s.product_id, s.title, h.units, s.price_amount,
           s.price_currency, u.payment_id, u.at, u.position
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
         AS u (id, hold_id, payment_id, at, position)
    JOIN holds h ON h.id = u.hold_id JOIN sales s ON s.id = h.sale_id"""

_PAY = """
    INSERT INTO payments (hold_id, status, position) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
    ON CONFLICT (hold_id) DO UPDATE SET status = excluded.status, position = excluded.position"""

_SELECT = """
    SELECT o.*, p.status AS payment_status FROM orders o LEFT JOIN payments p ON p.hold_id = o.hold_id"""
_FIND = f"{_SELECT} WHERE o.id = $1 AND (o.buyer_id = $2 OR o.merchant_id = $2)"
_PAGE = {
    side: f"""{_SELECT} WHERE o.{side}_id = $1 AND ($2::bigint IS NULL OR (o.position, o.id) < ($2, $3))
    ORDER BY o.position DESC, o.id DESC LIMIT $4"""
    for side in ("buyer", "merchant")
}

Side = Literal["buyer", "merchant"]


class OrdersProjection:
    """Writes `orders` and `payments`.

    Takes what was bought from `holds` and `sales`, of which it reads only what never changes. Has to stand
    behind the projection that writes those, in the same transaction or a later one.
    """

    name = "orders"
    tables = ("orders", "payments")
    registries: Mapping[str, Registry] = {
        flash_sale.KIND: flash_sale.EVENTS,
        payments.KIND: payments.EVENTS,
    }

    async def apply(self, connection: Connection, batch: Sequence[Recorded]) -> None:
        """Write what a batch led to. Raises `Broken` when a hold that became an order is not known."""
        changes = fold(batch)
        if changes.placed:
            placed = changes.placed
            status = await connection.execute(
                _PLACE,
                [p.order_id for p in placed],
                [p.hold_id for p in placed],
                [p.payment_id for p in placed],
                [p.at for p in placed],
                [p.position for p in placed],
            )
            if status != f"INSERT 0 {len(placed)}":
                raise Broken(f"orders of holds that never began, among {placed[0].hold_id} and others")
        if changes.payments:
            statuses = list(changes.payments.values())
            await connection.execute(
                _PAY, list(changes.payments), [s for s, _ in statuses], [at for _, at in statuses]
            )


async def find_order(order_id: str, actor_id: str) -> Order | None:
    """Return an order to its buyer or its merchant, and None to everyone else. Raises `Rejected` (unavailable)."""
    if not is_id("ord", order_id):
        return None
    async with engine.query() as connection:
        row = await connection.fetchrow(_FIND, order_id, actor_id)
    return _order(row) if row is not None else None


async def list_orders(side: Side, actor_id: str, limit: int, cursor: str | None) -> OrderPage:
    """Return a page of the orders that an account is one side of, newest first.

    Raises `Rejected`: bad_request on a cursor that is not one of this list, unavailable when Postgres is away.
    """
    name = f"orders:{side}"
    after = cursors.decode(name, cursor, Keyset) if cursor else None
    limit = max(1, min(limit, cursors.MAX_LIMIT))
    async with engine.query() as connection:
        rows = await connection.fetch(_PAGE[side], actor_id, *position_of(after), limit + 1)
    items = [_order(row) for row in rows[:limit]]
    more = len(rows) > limit
    return OrderPage(items, cursors.encode(name, Keyset(items[-1].position, items[-1].id)) if more else None)


def _order(row: Any) -> Order:
    price = Money(row["price_amount"], row["price_currency"])
    units = list(row["units"])
    return Order(
        row["id"],
        row["sale_id"],
        row["hold_id"],
        row["buyer_id"],
        row["merchant_id"],
        row["product_id"],
        row["title"],
        units,
        len(units),
        price,
        price.times(len(units)),
        rfc3339(row["placed_at"]),
        row["position"],
        payment_status="captured" if row["payment_status"] == "captured" else "authorised",
    )
