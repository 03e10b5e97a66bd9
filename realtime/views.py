"""What the writer publishes of a sale, and the part of it that watchers get."""

import msgspec

from cells.kernel.money import Money


class SaleView(msgspec.Struct, frozen=True):
    """A sale as of one position of the log; a whole picture, never a difference.

    Travels as msgpack on `cell.<cell>.sale.<id>` and in answers to `cell.<cell>.sale-get`.
    Times are ms since the epoch; `position` is the log position it was folded up to. `revision` and `throttle`
    (new holds a second) are the writer's knowledge: 0 and None in a view that was read from the tables.
    """

    id: str
    merchant_id: str
    product_id: str
    title: str
    state: str
    stock: int
    available: int
    held: int
    sold: int
    price: Money
    list_price: Money | None
    per_buyer_limit: int
    hold_seconds: int
    starts_at: int | None
    ends_at: int | None
    version: int
    position: int
    revision: int = 0
    throttle: int | None = None


class SaleTick(msgspec.Struct, frozen=True):
    """The `d` of a `sale` event and the snapshot of a `sale:` channel."""

    state: str
    available: int
    held: int
    sold: int
    stock: int
    price: Money
    viewers: int


def tick_of(view: SaleView, viewers: int) -> SaleTick:
    """Answer what watchers see of a view while `viewers` of them are here."""
    return SaleTick(
        state=view.state,
        available=view.available,
        held=view.held,
        sold=view.sold,
        stock=view.stock,
        price=view.price,
        viewers=viewers,
    )
