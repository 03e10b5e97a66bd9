"""Products as lists want them. Times are epoch milliseconds, money is in minor units."""

from piccolo.columns import Array, BigInt, Integer, Text
from piccolo.table import Table

from server.store.engine import DB


class ProductRow(Table, tablename="products", db=DB):
    """A product. `first_position` is that of the commit that created it: lists are sorted by it, newest first.

    `attributes` is a JSON object as text: it is shown and never searched.
    """

    id = Text(primary_key=True)
    merchant_id = Text(index=True)
    title = Text()
    description = Text()
    price_amount = BigInt()
    price_currency = Text()
    stock = Integer()
    images = Array(base_column=Text())
    attributes = Text()
    created_at = BigInt()
    updated_at = BigInt()
    version = BigInt()
    position = BigInt()
    first_position = BigInt(index=True)
