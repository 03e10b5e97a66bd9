"""What an order is to the outside: a confirmed hold, with the payment that was authorised for it."""

from typing import Literal

import msgspec

from cells.kernel.money import Money

PaymentStatus = Literal["authorised", "captured"]


class Order(msgspec.Struct, frozen=True):
    """An order. Times are RFC 3339; `position` is the log position that made it."""

    id: str
    sale_id: str
    hold_id: str
    buyer_id: str
    merchant_id: str
    product_id: str
    title: str
    units: list[int]
    quantity: int
    price: Money
    total: Money
    placed_at: str
    position: int
    status: Literal["confirmed"] = "confirmed"
    payment_status: PaymentStatus = "authorised"


class OrderPage(msgspec.Struct, frozen=True):
    """A page of orders, newest first."""

    items: list[Order]
    next: str | None
