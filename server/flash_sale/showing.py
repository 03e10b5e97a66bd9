"""What the writer shows of a sale: the whole of it to the api, and to watchers what they see, ready to be sent. PURE."""

import msgspec

from cells.kernel.money import Money

_json = msgspec.json.Encoder().encode
_msgpack = msgspec.msgpack.Encoder().encode


class SaleView(msgspec.Struct, frozen=True):
    """A sale as of one position of the log; a whole picture, never a difference.

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
    """The part of a sale that its watchers get, as JSON."""

    state: str
    available: int
    held: int
    sold: int
    stock: int
    price: Money


class WatchedSale(SaleTick, frozen=True):
    """The `d` of a `sale` event and the snapshot of a `sale:` channel. `viewers` is counted by the hub."""

    viewers: int


class ShownSale(msgspec.Struct, frozen=True, array_like=True):
    """How a sale travels on `cell.<cell>.sale.<id>` and in answers to `cell.<cell>.sale-get`.

    Hubs read `position` and `text` (`realtime.events.Shown`), and nothing of what follows.
    """

    position: int
    text: bytes
    view: SaleView


def shown(view: SaleView) -> bytes:
    """Return a view as it travels."""
    tick = SaleTick(view.state, view.available, view.held, view.sold, view.stock, view.price)
    return _msgpack(ShownSale(view.position, _json(tick), view))
