"""What commits of sales and payments are to webhooks: the bodies that are sent.

Everything here is a function of the log, so that the same event has the same id and the same body whenever and by
whomever it is made. A sale that is killed gives all its holds back at once; `sale.killed` alone tells it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from cells.engine.project import Recorded
from cells.kernel.clock import rfc3339
from cells.kernel.money import Money
from server.flash_sale import model as flash_sale
from server.flash_sale.model import (
    HoldConfirmed,
    HoldExpired,
    HoldReleased,
    SaleMoved,
    SaleThrottled,
    UnitsHeld,
)
from server.payments import model as payments
from server.payments.model import CheckoutSettled, PaymentCaptured, PaymentDeclined, PaymentVoided
from server.webhooks.model import Type

KINDS = frozenset({flash_sale.KIND, payments.KIND})


class KnownSale(msgspec.Struct, frozen=True):
    """What never changes of a sale."""

    merchant_id: str
    product_id: str
    title: str
    price: Money


class KnownHold(msgspec.Struct, frozen=True):
    """What never changes of a hold."""

    sale_id: str
    buyer_id: str
    units: tuple[int, ...]


class Known(msgspec.Struct, frozen=True):
    """The sales and holds that commits are about."""

    sales: Mapping[str, KnownSale]
    holds: Mapping[str, KnownHold]


class SaleData(msgspec.Struct, frozen=True):
    """`sale.*`, of which `sale.throttled` has a body of its own."""

    sale_id: str
    product_id: str
    title: str
    state: str
    reason: str


class ThrottleData(msgspec.Struct, frozen=True):
    """`sale.throttled`. `per_second`: holds granted a second at most; null: as many as come."""

    sale_id: str
    product_id: str
    title: str
    per_second: int | None
    reason: str


class HoldData(msgspec.Struct, frozen=True):
    """`hold.*`. `expires_at` and `order_id` where they apply."""

    hold_id: str
    sale_id: str
    buyer_id: str
    quantity: int
    units: tuple[int, ...]
    price: Money
    expires_at: str | None = None
    order_id: str | None = None


class OrderData(msgspec.Struct, frozen=True):
    """`order.created`"""

    order_id: str
    hold_id: str
    sale_id: str
    product_id: str
    title: str
    buyer_id: str
    quantity: int
    units: tuple[int, ...]
    price: Money
    total: Money
    payment_id: str


class PaymentData(msgspec.Struct, frozen=True):
    """`payment.*`. `reason` says why it was declined or voided."""

    hold_id: str
    sale_id: str
    buyer_id: str
    amount: Money
    order_id: str | None = None
    reason: str | None = None


Data = SaleData | ThrottleData | HoldData | OrderData | PaymentData


class Body(msgspec.Struct, frozen=True):
    """What is sent."""

    id: str
    type: str
    created_at: str
    data: Data


class Told(msgspec.Struct, frozen=True):
    """An event as merchants are told it."""

    id: str
    type: str
    merchant_id: str
    body: bytes


_encode = msgspec.json.Encoder().encode


def event_id(subject: str, version: int, index: int, type_: str) -> str:
    """Return the id of an event: named by its place in its aggregate, which no restore of the log changes."""
    return "evt_" + hashlib.sha256(f"{subject}|{version}|{index}|{type_}".encode()).hexdigest()[:32]


def wanted(batch: Sequence[Recorded]) -> tuple[set[str], set[str]]:
    """Return the sales and the holds that `told` has to know; the sales of those holds come on top."""
    sales, holds = set(), set()
    for commit in batch:
        if not any(type(event) in _TELL for event in commit.events):
            continue
        if commit.kind == flash_sale.KIND:
            sales.add(commit.key)
            holds |= {
                e.hold_id for e in commit.events if isinstance(e, HoldConfirmed | HoldReleased | HoldExpired)
            }
        else:
            holds.add(commit.key)
    return sales, holds


def told(commit: Recorded, known: Known) -> list[Told]:
    """Return what a commit is to its merchant. Raises `KeyError` on a sale or hold that is not known."""
    found: list[Told] = []
    for index, event in enumerate(commit.events):
        tell = _TELL.get(type(event))
        if tell is None:
            continue
        for type_, data in tell(commit, event, known):
            merchant = known.sales[data.sale_id].merchant_id
            name = event_id(commit.subject, commit.version, index, type_)
            body = _encode(Body(name, type_, rfc3339(event.at), data))
            found.append(Told(name, type_, merchant, body))
    return found


_STATES: dict[str, Type] = {
    "armed": "sale.armed",
    "open": "sale.opened",
    "paused": "sale.paused",
    "ended": "sale.ended",
    "killed": "sale.killed",
}

_Pairs = list[tuple[Type, Data]]


def _moved(commit: Recorded, event: SaleMoved, known: Known) -> _Pairs:
    type_ = _STATES.get(event.state)
    if type_ is None:
        return []
    sale = known.sales[commit.key]
    return [(type_, SaleData(commit.key, sale.product_id, sale.title, event.state, event.reason))]


def _throttled(commit: Recorded, event: SaleThrottled, known: Known) -> _Pairs:
    sale = known.sales[commit.key]
    data = ThrottleData(commit.key, sale.product_id, sale.title, event.per_second, event.reason)
    return [("sale.throttled", data)]


def _held(commit: Recorded, event: UnitsHeld, known: Known) -> _Pairs:
    price = known.sales[commit.key].price
    expires_at = rfc3339(event.expires_at)
    data = HoldData(
        event.hold_id, commit.key, event.buyer_id, len(event.units), event.units, price, expires_at
    )
    return [("hold.granted", data)]


def _hold(sale_id: str, hold_id: str, known: Known, order_id: str | None = None) -> HoldData:
    hold, price = known.holds[hold_id], known.sales[sale_id].price
    return HoldData(hold_id, sale_id, hold.buyer_id, len(hold.units), hold.units, price, order_id=order_id)


def _released(commit: Recorded, event: HoldReleased, known: Known) -> _Pairs:
    return [("hold.released", _hold(commit.key, event.hold_id, known))]


def _expired(commit: Recorded, event: HoldExpired, known: Known) -> _Pairs:
    return [("hold.expired", _hold(commit.key, event.hold_id, known))]


def _confirmed(commit: Recorded, event: HoldConfirmed, known: Known) -> _Pairs:
    sale, hold = known.sales[commit.key], known.holds[event.hold_id]
    order = OrderData(
        event.order_id,
        event.hold_id,
        commit.key,
        sale.product_id,
        sale.title,
        hold.buyer_id,
        len(hold.units),
        hold.units,
        sale.price,
        sale.price.times(len(hold.units)),
        event.payment_id,
    )
    confirmed = _hold(commit.key, event.hold_id, known, event.order_id)
    return [("hold.confirmed", confirmed), ("order.created", order)]


def _payment(commit: Recorded, known: Known, order_id: str | None, reason: str | None) -> PaymentData:
    hold = known.holds[commit.key]
    amount = known.sales[hold.sale_id].price.times(len(hold.units))
    return PaymentData(commit.key, hold.sale_id, hold.buyer_id, amount, order_id, reason)


def _captured(commit: Recorded, _event: PaymentCaptured, known: Known) -> _Pairs:
    order = next((e.order_id for e in commit.events if isinstance(e, CheckoutSettled)), None)
    return [("payment.captured", _payment(commit, known, order, None))]


def _declined(commit: Recorded, event: PaymentDeclined, known: Known) -> _Pairs:
    return [("payment.declined", _payment(commit, known, None, event.reason))]


def _voided(commit: Recorded, event: PaymentVoided, known: Known) -> _Pairs:
    return [("payment.voided", _payment(commit, known, None, event.reason))]


_TELL: dict[type[Any], Callable[[Recorded, Any, Known], _Pairs]] = {
    SaleMoved: _moved,
    SaleThrottled: _throttled,
    UnitsHeld: _held,
    HoldConfirmed: _confirmed,
    HoldReleased: _released,
    HoldExpired: _expired,
    PaymentCaptured: _captured,
    PaymentDeclined: _declined,
    PaymentVoided: _voided,
}
