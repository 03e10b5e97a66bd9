"""The rules of a flash sale: what commands lead to, and what the clock alone brings about. They only read the fold.

A hold is decided against everything before it, in the order of arrival. Nobody holds a unit that another has:
units come from those returned, oldest first, and then from those never touched.
"""

from itertools import islice
from typing import assert_never

from server.flash_sale import throttle
from server.flash_sale.lifecycle import FINAL, STEPS, due_move
from server.flash_sale.model import (
    Command,
    ConfirmHold,
    DraftSale,
    Event,
    FindHold,
    GetSale,
    Granted,
    Hold,
    HoldConfirmed,
    HoldExpired,
    HoldFound,
    HoldReleased,
    HoldStatus,
    HoldUnits,
    MoveSale,
    Refusal,
    ReleaseHold,
    Sale,
    SaleDrafted,
    SaleMoved,
    SaleThrottled,
    ThrottleSale,
    UnitsHeld,
)

TICK_EVENTS = 512

Reply = Granted | HoldFound | Refusal | None
"""What to answer once the events are durable. None: the sale as it then stands."""

Decision = tuple[list[Event], Reply]

_NOTHING: list[Event] = []
_NO_SUCH_SALE = Refusal("not_found", "there is no such sale")
_NO_SUCH_HOLD = Refusal("not_found", "there is no such hold, or it is not yours")


def decide(sale: Sale, command: Command, now: int) -> Decision:  # noqa: PLR0911 - one return a command
    """Return what happens and what to answer. Time is epoch milliseconds."""
    if not sale.exists and not isinstance(command, DraftSale):
        return _NOTHING, _NO_SUCH_SALE
    match command:
        case HoldUnits():
            return _hold(sale, command, now)
        case ConfirmHold():
            return _confirm(sale, command, now)
        case ReleaseHold():
            return _release(sale, command, now)
        case FindHold():
            hold = _own(sale, command.hold_id, command.buyer_id)
            return _NOTHING, found(sale, hold) if hold else _NO_SUCH_HOLD
        case DraftSale():
            return _draft(sale, command, now)
        case MoveSale():
            return _move(sale, command, now)
        case ThrottleSale():
            return _throttle(sale, command, now)
        case GetSale():
            return _NOTHING, None
        case _:
            assert_never(command)


def _hold(sale: Sale, command: HoldUnits, now: int) -> Decision:  # noqa: PLR0911 - one return a refusal
    known = sale.keys.get(command.key)
    if known is not None:
        hold = sale.holds[known]
        if len(hold.units) != command.quantity or hold.buyer_id != command.buyer_id:
            return _NOTHING, Refusal(
                "key_reused", f"the key was used for {len(hold.units)} units of this sale"
            )
        return _NOTHING, granted(sale, hold)
    if sale.state != "open" or (sale.ends_at is not None and now >= sale.ends_at):
        return _NOTHING, Refusal("not_open", f"the sale is {sale.state}")
    quantity = command.quantity
    left = sale.per_buyer_limit - sale.taken.get(command.buyer_id, 0)
    if quantity > left:
        return _NOTHING, Refusal(
            "limit_reached", f"{max(left, 0)} of {sale.per_buyer_limit} units are left to you"
        )
    if quantity > sale.available:
        return _NOTHING, Refusal("sold_out", f"{sale.available} units are available")
    if sale.throttle is not None:
        too_fast = throttle.refusal(sale, sale.throttle, now)
        if too_fast is not None:
            return _NOTHING, too_fast
    units = tuple(islice(sale.returned, quantity))
    if len(units) < quantity:
        units += tuple(range(sale.fresh_unit, sale.fresh_unit + quantity - len(units)))
    expires_at = now + sale.hold_seconds * 1000
    event = UnitsHeld(command.hold_id, command.buyer_id, units, command.key, expires_at, now)
    return [event], Granted(command.hold_id, sale.id, units, sale.price, expires_at)


def _confirm(sale: Sale, command: ConfirmHold, now: int) -> Decision:
    hold = _own(sale, command.hold_id, command.buyer_id)
    if hold is None:
        return _NOTHING, _NO_SUCH_HOLD
    if hold.status is HoldStatus.CONFIRMED:
        if hold.payment_id == command.payment_id:
            return _NOTHING, found(sale, hold, replayed=True)
        return _NOTHING, Refusal("conflict", "the hold was confirmed with another payment")
    gone = _gone(hold, now)
    if gone is not None:
        return _NOTHING, gone
    confirmed = found(sale, hold)
    confirmed.status, confirmed.settled_at = HoldStatus.CONFIRMED, now
    confirmed.order_id, confirmed.payment_id = command.order_id, command.payment_id
    return [HoldConfirmed(hold.id, command.order_id, command.payment_id, now)], confirmed


def _release(sale: Sale, command: ReleaseHold, now: int) -> Decision:
    hold = _own(sale, command.hold_id, command.buyer_id)
    if hold is None:
        return _NOTHING, _NO_SUCH_HOLD
    if hold.status is HoldStatus.RELEASED:
        return _NOTHING, found(sale, hold, replayed=True)
    if hold.status is HoldStatus.CONFIRMED:
        return _NOTHING, Refusal("wrong_state", "the hold is confirmed; its order exists")
    gone = _gone(hold, now)
    if gone is not None:
        return _NOTHING, gone
    released = found(sale, hold)
    released.status, released.settled_at = HoldStatus.RELEASED, now
    return [HoldReleased(hold.id, now)], released


def _gone(hold: Hold, now: int) -> Refusal | None:
    """Say why a hold that is not confirmed cannot be used; its last millisecond is the one before `expires_at`."""
    if hold.status is HoldStatus.RELEASED:
        return Refusal("hold_released")
    if hold.status is HoldStatus.EXPIRED or now >= hold.expires_at:
        return Refusal("hold_expired")
    return None


def _draft(sale: Sale, command: DraftSale, now: int) -> Decision:
    if sale.exists:
        same = all(
            getattr(sale, n) == getattr(command, n) for n in command.__struct_fields__ if n != "sale_id"
        )
        return _NOTHING, None if same and sale.id == command.sale_id else Refusal(
            "conflict", "the sale exists"
        )
    described = {name: getattr(command, name) for name in command.__struct_fields__}
    return [SaleDrafted(**described, at=now)], None


def _move(sale: Sale, command: MoveSale, now: int) -> Decision:
    if command.merchant_id not in ("", sale.merchant_id):
        return _NOTHING, _NO_SUCH_SALE
    if command.id in sale.moves:
        return _NOTHING, None
    stale = _stale(sale, command)
    if stale is not None:
        return _NOTHING, stale
    target = STEPS.get((sale.state, command.step))
    if target is None:
        return _NOTHING, Refusal("wrong_state", f"a sale that is {sale.state} does not {command.step}")
    return [SaleMoved(target, command.by, command.reason, now, command.id, command.by_name)], None


def _throttle(sale: Sale, command: ThrottleSale, now: int) -> Decision:
    if command.id in sale.moves:
        return _NOTHING, None
    stale = _stale(sale, command)
    if stale is not None:
        return _NOTHING, stale
    if sale.state in FINAL:
        return _NOTHING, Refusal("wrong_state", f"a sale that is {sale.state} grants nothing")
    throttled = SaleThrottled(
        command.per_second, command.by, command.reason, now, command.id, command.by_name
    )
    return [throttled], None


def _stale(sale: Sale, command: MoveSale | ThrottleSale) -> Refusal | None:
    if command.expected_revision in (None, sale.revision):
        return None
    return Refusal(
        "conflict",
        f"the sale is at revision {sale.revision} and {sale.state}; look at it again before you act",
    )


def tick(sale: Sale, now: int) -> list[Event]:
    """Return what the clock alone brings about: a step of the life cycle, and holds that ran out."""
    events: list[Event] = []
    target = due_move(sale.state, sale.starts_at, sale.ends_at, now)
    if target is not None:
        events.append(SaleMoved(target, "clock", "", now))
    for hold_id in islice(sale.expiries, TICK_EVENTS):
        hold = sale.holds.get(hold_id)
        if hold is None or hold.status is not HoldStatus.HELD:
            continue
        if hold.expires_at > now:
            break
        events.append(HoldExpired(hold_id, now))
    return events


def due(sale: Sale) -> int | None:
    """Return when `tick` has something to do next, in epoch milliseconds."""
    moments = [sale.holds[sale.expiries[0]].expires_at] if sale.expiries else []
    if sale.state == "armed" and sale.starts_at is not None:
        moments.append(sale.starts_at)
    if sale.state in ("armed", "open", "paused") and sale.ends_at is not None:
        moments.append(sale.ends_at)
    return min(moments, default=None)


def _own(sale: Sale, hold_id: str, buyer_id: str) -> Hold | None:
    hold = sale.holds.get(hold_id)
    return hold if hold is not None and buyer_id in ("", hold.buyer_id) else None


def granted(sale: Sale, hold: Hold) -> Granted:
    """Repeat the answer that a hold was granted with."""
    return Granted(hold.id, sale.id, hold.units, sale.price, hold.expires_at, hold.version, replayed=True)


def found(sale: Sale, hold: Hold, *, replayed: bool = False) -> HoldFound:
    """Describe a hold as it stands."""
    return HoldFound(
        hold.id,
        sale.id,
        hold.buyer_id,
        sale.merchant_id,
        sale.product_id,
        sale.title,
        hold.units,
        sale.price,
        hold.status,
        hold.at,
        hold.expires_at,
        hold.order_id,
        hold.payment_id,
        hold.settled_at,
        replayed=replayed,
    )


def idle(sale: Sale) -> bool:
    """Tell whether nothing can happen to the sale by itself or by a buyer any more."""
    return sale.state in FINAL and sale.held == 0
