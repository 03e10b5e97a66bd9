"""What commits of sales and payments are to the accounts they concern."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from cells.engine.project import Recorded
from cells.kernel.clock import rfc3339
from cells.kernel.money import Money
from server.feed.model import Entry, HoldNews, OrderNews, PaymentNews, SaleNews
from server.flash_sale.model import (
    HoldConfirmed,
    HoldExpired,
    HoldReleased,
    SaleDrafted,
    SaleMoved,
    UnitsHeld,
)
from server.payments.model import PaymentCaptured, PaymentDeclined, PaymentVoided


class KnownHold(msgspec.Struct, frozen=True):
    """What never changes of a hold."""

    buyer_id: str
    sale_id: str
    quantity: int


class KnownSale(msgspec.Struct, frozen=True):
    """What never changes of a sale."""

    merchant_id: str
    title: str
    price: Money


class Known(msgspec.Struct, frozen=True):
    """What the events of a batch are about. `killed`: by position of a kill, the holds it ended, in their order."""

    holds: Mapping[str, KnownHold]
    sales: Mapping[str, KnownSale]
    killed: Mapping[int, Sequence[str]]


class Wanted(msgspec.Struct):
    """What has to be looked up for a batch. `kills` has position, sale and time."""

    holds: set[str]
    sales: set[str]
    kills: list[tuple[int, str, int]]


def wanted(batch: Sequence[Recorded]) -> Wanted:
    """Return what `entries` has to know."""
    found = Wanted(set(), set(), [])
    for commit in batch:
        for event in commit.events:
            match event:
                case HoldConfirmed():
                    found.holds.add(event.hold_id)
                    found.sales.add(commit.key)
                case HoldReleased() | HoldExpired():
                    found.holds.add(event.hold_id)
                case SaleMoved():
                    found.sales.add(commit.key)
                    if event.state == "killed":
                        found.kills.append((commit.position, commit.key, event.at))
                case PaymentCaptured() | PaymentDeclined() | PaymentVoided():
                    found.holds.add(commit.key)
                case _:
                    pass
    return found


def entries(batch: Sequence[Recorded], known: Known) -> list[Entry]:
    """Return the news of a batch in the order of the log. Raises `KeyError` on a hold or sale that is not known."""
    found: list[Entry] = []
    for commit in batch:
        for event in commit.events:
            tell = _TELL.get(type(event))
            if tell is not None:
                found += tell(commit, event, known)
    return found


def _held(commit: Recorded, e: UnitsHeld, _known: Known) -> list[Entry]:
    news = HoldNews(e.hold_id, commit.key, "held", len(e.units), rfc3339(e.expires_at))
    return [Entry(commit.position, e.buyer_id, news)]


def _confirmed(commit: Recorded, e: HoldConfirmed, known: Known) -> list[Entry]:
    hold, sale = known.holds[e.hold_id], known.sales[commit.key]
    told = HoldNews(e.hold_id, commit.key, "confirmed", hold.quantity, order_id=e.order_id)
    order = OrderNews(
        e.order_id,
        e.hold_id,
        commit.key,
        sale.title,
        hold.quantity,
        sale.price,
        sale.price.times(hold.quantity),
    )
    return [
        Entry(commit.position, hold.buyer_id, told),
        Entry(commit.position, hold.buyer_id, order),
        Entry(commit.position, sale.merchant_id, order),
    ]


def _released(commit: Recorded, e: HoldReleased, known: Known) -> list[Entry]:
    hold = known.holds[e.hold_id]
    return [Entry(commit.position, hold.buyer_id, HoldNews(e.hold_id, commit.key, "released", hold.quantity))]


def _expired(commit: Recorded, e: HoldExpired, known: Known) -> list[Entry]:
    hold = known.holds[e.hold_id]
    return [Entry(commit.position, hold.buyer_id, HoldNews(e.hold_id, commit.key, "expired", hold.quantity))]


def _drafted(commit: Recorded, e: SaleDrafted, _known: Known) -> list[Entry]:
    return [Entry(commit.position, e.merchant_id, SaleNews(e.sale_id, "draft", ""))]


def _moved(commit: Recorded, e: SaleMoved, known: Known) -> list[Entry]:
    merchant = known.sales[commit.key].merchant_id
    told = [Entry(commit.position, merchant, SaleNews(commit.key, e.state, e.reason))]
    if e.state == "killed":
        for hold_id in known.killed.get(commit.position, ()):
            told += _released(commit, HoldReleased(hold_id, e.at), known)
    return told


def _paid(commit: Recorded, _e: PaymentCaptured, known: Known) -> list[Entry]:
    return _payment(commit, known, PaymentNews(commit.key, "captured", ""))


def _declined(commit: Recorded, e: PaymentDeclined, known: Known) -> list[Entry]:
    return _payment(commit, known, PaymentNews(commit.key, "declined", e.reason))


def _voided(commit: Recorded, e: PaymentVoided, known: Known) -> list[Entry]:
    return _payment(commit, known, PaymentNews(commit.key, "voided", e.reason))


def _payment(commit: Recorded, known: Known, news: PaymentNews) -> list[Entry]:
    return [Entry(commit.position, known.holds[commit.key].buyer_id, news)]


_TELL: dict[type[Any], Callable[[Recorded, Any, Known], list[Entry]]] = {
    UnitsHeld: _held,
    HoldConfirmed: _confirmed,
    HoldReleased: _released,
    HoldExpired: _expired,
    SaleDrafted: _drafted,
    SaleMoved: _moved,
    PaymentCaptured: _paid,
    PaymentDeclined: _declined,
    PaymentVoided: _voided,
}
