"""Orders and the payments behind them as reads want them. Times are epoch milliseconds, money is in minor units."""

from piccolo.columns import Array, BigInt, Integer, Text
from piccolo.table import Table

from server.store.engine import DB


class OrderRow(Table, tablename="orders", db=DB):
    """An order. `position` is that of the commit that confirmed its hold.

    Lists are sorted by (position, id); Piccolo cannot declare the indexes of two columns for that, the migration
    makes them.
    """

    id = Text(primary_key=True)
    sale_id = Text()
    hold_id = Text()
    buyer_id = Text()
    merchant_id = Text()
    product_id = Text()
    title = Text()
    units = Array(base_column=Integer())
    price_amount = BigInt()
    price_currency = Text()
    payment_id = Text()
    placed_at = BigInt()
    position = BigInt()


class PaymentRow(Table, tablename="payments", db=DB):
    """Where the payment of a hold stands. There may be one without an order."""

    hold_id = Text(primary_key=True)
    status = Text()
    position = BigInt()
