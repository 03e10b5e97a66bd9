"""What webhooks have to know of sales and holds, from the tables; of these only columns that never change."""

from collections.abc import Awaitable, Callable, Sequence

from cells.engine.project import Recorded, StoreUnavailable
from cells.kernel.money import Money
from server.store import engine
from server.webhooks.told import Known, KnownHold, KnownSale, wanted

_HOLDS = "SELECT id, sale_id, buyer_id, units FROM holds WHERE id = ANY($1::text[])"
_SALES = """
    SELECT id, merchant_id, product_id, title, price_amount, price_currency FROM sales WHERE id = ANY($1::text[])"""

Facts = Callable[[Sequence[Recorded]], Awaitable[Known]]


async def facts(batch: Sequence[Recorded]) -> Known:
    """Return what commits are about. The projections have to have read them. Raises `StoreUnavailable`."""
    sale_ids, hold_ids = wanted(batch)
    if not sale_ids and not hold_ids:
        return Known({}, {})
    async with engine.connection() as connection:
        held = await connection.fetch(_HOLDS, list(hold_ids)) if hold_ids else []
        holds = {row["id"]: KnownHold(row["sale_id"], row["buyer_id"], tuple(row["units"])) for row in held}
        rows = await connection.fetch(_SALES, list(sale_ids | {hold.sale_id for hold in holds.values()}))
    sales = {
        row["id"]: KnownSale(
            row["merchant_id"],
            row["product_id"],
            row["title"],
            Money(row["price_amount"], row["price_currency"]),
        )
        for row in rows
    }
    if missing := (sale_ids - sales.keys()) | (hold_ids - holds.keys()):
        raise StoreUnavailable(f"{min(missing)} is not in the tables yet")
    return Known(sales, holds)
