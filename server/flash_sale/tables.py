"""Sales and holds as reads want them. Times are epoch milliseconds, money is in minor units."""

from piccolo.columns import Array, BigInt, Integer, Text
from piccolo.table import Table

from server.store.engine import DB


class SaleRow(Table, tablename="sales", db=DB):
    """A sale. `version` and `position` are those of its last projected commit."""

    id = Text(primary_key=True)
    merchant_id = Text(index=True)
    product_id = Text()
    title = Text()
    price_amount = BigInt()
    price_currency = Text()
    list_price_amount = BigInt(null=True, default=None)
    list_price_currency = Text(null=True, default=None)
    stock = Integer()
    per_buyer_limit = Integer()
    hold_seconds = Integer()
    starts_at = BigInt(null=True, default=None)
    ends_at = BigInt(null=True, default=None)
    created_at = BigInt()
    state = Text()
    held = Integer()
    sold = Integer()
    version = BigInt()
    position = BigInt()


class HoldRow(Table, tablename="holds", db=DB):
    """A hold. `version` and `position` are those of the commit that granted it."""

    id = Text(primary_key=True)
    sale_id = Text(index=True)
    buyer_id = Text()
    units = Array(base_column=Integer())
    quantity = Integer()
    status = Text()
    expires_at = BigInt()
    created_at = BigInt()
    settled_at = BigInt()
    version = BigInt()
    position = BigInt()
