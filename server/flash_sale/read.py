"""The tables of sales and holds, kept up with the log, and what lists ask of them.

They may lag the log; the writer's own view of a sale is newer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cells.engine.project import Recorded
from cells.kernel.codec import Registry
from cells.kernel.ids import is_id
from cells.kernel.money import Money
from cells.log.chain import Broken
from server.flash_sale.fold import Changes, SaleChange, fold
from server.flash_sale.model import EVENTS, KIND, HoldStatus, State
from server.flash_sale.showing import SaleView
from server.store import engine
from server.store.engine import Connection
from server.store.keyset import Keyset, position_of
from server.web import cursors

LIST = "sales"

HOLD_COLUMNS = (
    "id",
    "sale_id",
    "buyer_id",
    "units",
    "quantity",
    "status",
    "expires_at",
    "created_at",
    "settled_at",
    "version",
    "position",
)

_DRAFT = """
    INSERT INTO sales (id, merchant_id, product_id, title, price_amount, price_currency, list_price_amount,
                       list_price_currency, stock, per_buyer_limit, hold_seconds, starts_at, ends_at, created_at,
                       state, held, sold, version, position)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'draft', 0, 0, 0, 0)"""

_SETTLE = """
    WITH settled AS (
        UPDATE holds SET status = u.status, settled_at = u.at
        FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (id, status, at)
        WHERE holds.id = u.id
        RETURNING holds.sale_id, holds.status, holds.quantity)
    SELECT sale_id, status, count(*) AS holds, sum(quantity)::bigint AS units FROM settled GROUP BY 1, 2"""

_KILL = """
    WITH killed AS (
        UPDATE holds SET status = 'released', settled_at = $2
        WHERE sale_id = $1 AND status = 'held'
        RETURNING quantity)
    SELECT coalesce(sum(quantity), 0)::bigint FROM killed"""

_CHANGE = """
    UPDATE sales SET state = coalesce(nullif(u.state, ''), sales.state), held = sales.held + u.held,
                     sold = sales.sold + u.sold, version = u.version, position = u.position
    FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::bigint[], $6::bigint[])
         AS u (id, state, held, sold, version, position)
    WHERE sales.id = u.id"""


class SalesProjection:
    """Writes `sales` and `holds`."""

    name = "sales"
    tables = ("sales", "holds")
    registries: Mapping[str, Registry] = {KIND: EVENTS}

    async def apply(self, connection: Connection, batch: Sequence[Recorded]) -> None:
        """Write what a batch led to. Raises `Broken` on an event of a sale or hold that never began."""
        changes = fold(batch)
        await _draft(connection, changes)
        await _grant(connection, changes)
        await _settle(connection, changes)
        for sale_id, change in changes.sales.items():
            if change.killed_at is not None:
                change.held -= await connection.fetchval(_KILL, sale_id, change.killed_at)
        await _change(connection, changes.sales)


async def _draft(connection: Connection, changes: Changes) -> None:
    if not changes.drafted:
        return
    rows = [
        (
            e.sale_id,
            e.merchant_id,
            e.product_id,
            e.title,
            e.price.amount,
            e.price.currency,
            e.list_price.amount if e.list_price else None,
            e.list_price.currency if e.list_price else None,
            e.stock,
            e.per_buyer_limit,
            e.hold_seconds,
            e.starts_at,
            e.ends_at,
            e.at,
        )
        for e in changes.drafted.values()
    ]
    await connection.executemany(_DRAFT, rows)


async def _grant(connection: Connection, changes: Changes) -> None:
    if not changes.holds:
        return
    rows = [
        (
            h.id,
            h.sale_id,
            h.buyer_id,
            h.units,
            len(h.units),
            h.status.value,
            h.expires_at,
            h.created_at,
            h.settled_at,
            h.version,
            h.position,
        )
        for h in changes.holds.values()
    ]
    await connection.copy_records_to_table("holds", records=rows, columns=HOLD_COLUMNS)


async def _settle(connection: Connection, changes: Changes) -> None:
    if not changes.settled:
        return
    ends = list(changes.settled.values())
    rows = await connection.fetch(
        _SETTLE, [s.hold_id for s in ends], [s.status.value for s in ends], [s.at for s in ends]
    )
    if sum(row["holds"] for row in rows) != len(ends):
        raise Broken(f"holds end that never began, among {ends[0].hold_id} and {len(ends) - 1} more")
    for row in rows:
        change = changes.sales[row["sale_id"]]
        change.held -= row["units"]
        if row["status"] == HoldStatus.CONFIRMED.value:
            change.sold += row["units"]


async def _change(connection: Connection, sales: dict[str, SaleChange]) -> None:
    changes = list(sales.values())
    status = await connection.execute(
        _CHANGE,
        list(sales),
        [c.state for c in changes],
        [c.held for c in changes],
        [c.sold for c in changes],
        [c.version for c in changes],
        [c.position for c in changes],
    )
    if status != f"UPDATE {len(sales)}":
        raise Broken(f"commits of a sale that was never drafted, among {', '.join(list(sales)[:5])}")


_LIST = """
    SELECT * FROM sales
    WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR merchant_id = $2)
      AND (state <> 'draft' OR merchant_id = $3)
      AND ($4::bigint IS NULL OR (created_at, id) < ($4, $5))
    ORDER BY created_at DESC, id DESC LIMIT $6"""


async def list_sales(
    limit: int = cursors.DEFAULT_LIMIT,
    cursor: str | None = None,
    *,
    state: State | None = None,
    merchant_id: str | None = None,
    drafts_of: str | None = None,
) -> tuple[list[SaleView], str | None]:
    """Return a page of sales, newest first, and the cursor of the next.

    Drafts are only shown to the merchant `drafts_of`. Raises `Rejected`: bad_request on a foreign cursor,
    unavailable when Postgres is away.
    """
    after = cursors.decode(LIST, cursor, Keyset) if cursor else None
    if merchant_id is not None and not is_id("mer", merchant_id):
        return [], None
    limit = max(1, min(limit, cursors.MAX_LIMIT))
    async with engine.query() as connection:
        rows = await connection.fetch(_LIST, state, merchant_id, drafts_of, *position_of(after), limit + 1)
    shown = [_view(row) for row in rows[:limit]]
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return shown, cursors.encode(LIST, Keyset(last["created_at"], last["id"])) if last is not None else None


async def find_sale(sale_id: str) -> SaleView | None:
    """Return one sale as projected. Raises `Rejected` (unavailable)."""
    if not is_id("sal", sale_id):
        return None
    async with engine.query() as connection:
        row = await connection.fetchrow("SELECT * FROM sales WHERE id = $1", sale_id)
    return _view(row) if row is not None else None


async def sale_of_hold(hold_id: str) -> str | None:
    """Return the sale that a hold belongs to, or None when it is not projected. Raises `Rejected` (unavailable)."""
    if not is_id("hld", hold_id):
        return None
    async with engine.query() as connection:
        found: str | None = await connection.fetchval("SELECT sale_id FROM holds WHERE id = $1", hold_id)
    return found


def _view(row: Any) -> SaleView:
    amount, currency = row["list_price_amount"], row["list_price_currency"]
    return SaleView(
        row["id"],
        row["merchant_id"],
        row["product_id"],
        row["title"],
        row["state"],
        row["stock"],
        row["stock"] - row["held"] - row["sold"],
        row["held"],
        row["sold"],
        Money(row["price_amount"], row["price_currency"]),
        Money(amount, currency) if amount is not None else None,
        row["per_buyer_limit"],
        row["hold_seconds"],
        row["starts_at"],
        row["ends_at"],
        row["version"],
        row["position"],
    )
