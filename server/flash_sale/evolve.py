"""How a sale's events change it in memory; the only way that it changes."""

from collections.abc import Callable
from typing import Any

from server.flash_sale import throttle
from server.flash_sale.model import (
    Event,
    Hold,
    HoldConfirmed,
    HoldExpired,
    HoldReleased,
    HoldStatus,
    Sale,
    SaleDrafted,
    SaleMoved,
    SaleThrottled,
    UnitsHeld,
    WriterChanged,
)

REMEMBERED_MS = 24 * 3600 * 1000
"""How long a settled hold without an order, and with it its Idempotency-Key, stays in the fold."""


def evolve(sale: Sale, event: Event, version: int) -> None:
    """Apply one event of commit `version`, in place."""
    _APPLY[type(event)](sale, event, version)


def _drafted(sale: Sale, e: SaleDrafted, _version: int) -> None:
    sale.id = e.sale_id
    for name in e.__struct_fields__:
        if name not in ("sale_id", "at"):
            setattr(sale, name, getattr(e, name))
    sale.created_at = e.at


def _moved(sale: Sale, e: SaleMoved, _version: int) -> None:
    sale.state = e.state
    sale.moves.append(e.command)
    sale.revision += 1
    if e.state == "killed":
        for hold in [h for h in sale.holds.values() if h.status is HoldStatus.HELD]:
            _give_back(sale, hold, HoldStatus.RELEASED, e.at)


def _throttled(sale: Sale, e: SaleThrottled, _version: int) -> None:
    throttle.turn(sale, e)
    sale.moves.append(e.command)
    sale.revision += 1


def _held(sale: Sale, e: UnitsHeld, version: int) -> None:
    if sale.throttle is not None:
        throttle.take(sale, sale.throttle, e.at)
    for unit in e.units:
        if sale.returned and sale.returned[0] == unit:
            sale.returned.popleft()
        else:
            sale.fresh_unit = unit + 1
    sale.holds[e.hold_id] = Hold(e.hold_id, e.buyer_id, e.units, e.key, e.expires_at, e.at, version)
    sale.keys[e.key] = e.hold_id
    sale.taken[e.buyer_id] = sale.taken.get(e.buyer_id, 0) + len(e.units)
    sale.held += len(e.units)
    sale.expiries.append(e.hold_id)


def _confirmed(sale: Sale, e: HoldConfirmed, _version: int) -> None:
    hold = sale.holds[e.hold_id]
    hold.status, hold.settled_at = HoldStatus.CONFIRMED, e.at
    hold.order_id, hold.payment_id = e.order_id, e.payment_id
    sale.held -= len(hold.units)
    sale.sold += len(hold.units)
    _drop_spent(sale)


def _released(sale: Sale, e: HoldReleased, _version: int) -> None:
    _give_back(sale, sale.holds[e.hold_id], HoldStatus.RELEASED, e.at)


def _expired(sale: Sale, e: HoldExpired, _version: int) -> None:
    _give_back(sale, sale.holds[e.hold_id], HoldStatus.EXPIRED, e.at)


def _writer_changed(sale: Sale, e: WriterChanged, _version: int) -> None:
    sale.term = e.term


_APPLY: dict[type[Any], Callable[[Sale, Any, int], None]] = {
    SaleDrafted: _drafted,
    SaleMoved: _moved,
    SaleThrottled: _throttled,
    UnitsHeld: _held,
    HoldConfirmed: _confirmed,
    HoldReleased: _released,
    HoldExpired: _expired,
    WriterChanged: _writer_changed,
}


def _give_back(sale: Sale, hold: Hold, status: HoldStatus, at: int) -> None:
    hold.status, hold.settled_at = status, at
    sale.returned.extend(hold.units)
    sale.held -= len(hold.units)
    left = sale.taken[hold.buyer_id] - len(hold.units)
    if left:
        sale.taken[hold.buyer_id] = left
    else:
        del sale.taken[hold.buyer_id]
    sale.settled.append(hold.id)
    _drop_spent(sale)
    _forget(sale, at - REMEMBERED_MS)


def _forget(sale: Sale, before: int) -> None:
    while sale.settled and sale.holds[sale.settled[0]].settled_at < before:
        hold = sale.holds.pop(sale.settled.popleft())
        del sale.keys[hold.key]


def _drop_spent(sale: Sale) -> None:
    while sale.expiries:
        hold = sale.holds.get(sale.expiries[0])
        if hold is not None and hold.status is HoldStatus.HELD:
            return
        sale.expiries.popleft()
