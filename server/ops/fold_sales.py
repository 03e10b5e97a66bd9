"""How the events of sales and payments change the board. PURE, and total: no event of a sound type is refused."""

from typing import Any, Final

from server.flash_sale.lifecycle import FINAL
from server.flash_sale.model import (
    MAX_STOCK,
    HoldConfirmed,
    HoldExpired,
    HoldReleased,
    SaleDrafted,
    SaleMoved,
    SaleThrottled,
    UnitsHeld,
)
from server.ops.state import (
    HOLDS,
    MAX_SALES,
    MAX_TEXT,
    MOVES,
    ORDERS,
    Gone,
    Hold,
    Move,
    Order,
    Place,
    Sale,
    State,
    by_second,
)
from server.payments.model import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentStarted,
    PaymentVoided,
)

_STEP: Final = {"armed": "arm", "open": "open", "paused": "pause", "ended": "end", "killed": "kill"}
_PAID: Final[dict[type[Any], str]] = {
    PaymentStarted: "started",
    PaymentAuthorised: "authorised",
    PaymentDeclined: "declined",
    PaymentCaptured: "captured",
    PaymentVoided: "voided",
}
_MOST_OWNERS: Final = 255


def drafted(place: Place, event: SaleDrafted) -> None:
    """A sale appears."""
    if place.key in place.state.sales:
        return
    place.state.moves += 1
    place.state.sales[place.key] = Sale(
        event.merchant_id,
        event.product_id,
        event.title[:MAX_TEXT],
        event.price.amount,
        event.price.currency,
        max(0, min(event.stock, MAX_STOCK)),
        event.starts_at,
        event.ends_at,
        event.at,
        moved_at=event.at,
        moved_by=event.merchant_id,
        moved_position=place.position,
    )
    if len(place.state.sales) > MAX_SALES + MAX_SALES // 10:
        _trim(place.state)


def moved(place: Place, event: SaleMoved) -> None:
    """A sale takes a step; killing it gives every hold back."""
    state = place.state
    sale = state.sales.get(place.key)
    if sale is None:
        return
    resumed = sale.state == "paused" and event.state == "open"
    sale.state = event.state
    _changed(place, sale, event, "resume" if resumed else _STEP.get(event.state, event.state))
    if event.state == "killed":
        for hold_id in [i for i, h in state.holds.items() if h.sale_id == place.key and h.status == "held"]:
            _settled(state, hold_id, "released", event.at)
            place.second.released += 1
    _close(sale)


def throttled(place: Place, event: SaleThrottled) -> None:
    """A sale grants more slowly, or as fast as it can again."""
    sale = place.state.sales.get(place.key)
    if sale is not None:
        sale.throttle = event.per_second
        _changed(place, sale, event, "throttle")


def _changed(place: Place, sale: Sale, event: SaleMoved | SaleThrottled, what: str) -> None:
    place.state.moves += 1
    sale.revision += 1
    sale.moved_at, sale.moved_by, sale.moved_position = event.at, event.by, place.position
    sale.reason = event.reason[:MAX_TEXT]
    name = event.by_name[:MAX_TEXT]
    sale.moves.append(Move(event.at, place.position, event.by, name, what, sale.reason, sale.throttle))
    if len(sale.moves) > 2 * MOVES:
        del sale.moves[:-MOVES]


def held(place: Place, event: UnitsHeld) -> None:
    """A buyer gets units."""
    state = place.state
    units = event.units
    place.second.holds += 1
    state.granted += 1
    state.holds[event.hold_id] = Hold(
        state.granted, place.key, event.buyer_id, units, event.at, event.expires_at, place.position
    )
    state.recent.append(event.hold_id)
    if len(state.recent) > 2 * HOLDS:
        _forget_settled(state)
    sale = state.sales.get(place.key)
    if sale is None:
        return
    sale.holds += 1
    sale.held += len(units)
    taken, second = sale.taken, event.at // 1000
    if second in taken:
        taken[second] += len(units)
    else:
        by_second(taken, event.at, len(units))
    bad = len(units) if sale.closed else _take(sale, units)
    over = sale.held + sale.sold - sale.stock
    if bad or over > 0:
        sale.over_since = sale.over_since or event.at
        sale.duplicate_units += bad
        sale.oversold = max(sale.oversold, over)


def _take(sale: Sale, units: tuple[int, ...]) -> int:
    """Note who has the units; return how many of them were somebody's, or no units of this sale."""
    owners, bad = sale.owners, 0
    for unit in units:
        if not 1 <= unit <= sale.stock:
            bad += 1
            continue
        if unit >= len(owners):
            owners.extend(bytes(min(max(2 * len(owners), unit + 1, 64), sale.stock + 1) - len(owners)))
        have = owners[unit]
        if have:
            bad += 1
            owners[unit] = min(have + 1, _MOST_OWNERS)
        else:
            owners[unit] = 1
    return bad


def _forget_settled(state: State) -> None:
    for hold_id in state.recent[:-HOLDS]:
        hold = state.holds.get(hold_id)
        if hold is not None and hold.status != "held":
            del state.holds[hold_id]
    del state.recent[:-HOLDS]


def confirmed(place: Place, event: HoldConfirmed) -> None:
    """A hold becomes an order."""
    state = place.state
    place.second.orders += 1
    hold = _settled(state, event.hold_id, "confirmed", event.at)
    if hold is None:
        return
    sale = state.sales.get(hold.sale_id)
    amount, currency = (sale.amount * len(hold.units), sale.currency) if sale else (0, "")
    state.orders[event.hold_id] = Order(
        event.order_id,
        hold.sale_id,
        hold.buyer_id,
        hold.units,
        amount,
        currency,
        hold.payment or "authorised",
        event.at,
        place.position,
    )
    if len(state.orders) > 2 * ORDERS:
        for oldest in list(state.orders)[:-ORDERS]:
            del state.orders[oldest]


def released(place: Place, event: HoldReleased) -> None:
    """A buyer gives a hold back."""
    place.second.released += 1
    _settled(place.state, event.hold_id, "released", event.at)


def expired(place: Place, event: HoldExpired) -> None:
    """A hold's time is over."""
    place.second.expired += 1
    _settled(place.state, event.hold_id, "expired", event.at)


def _settled(state: State, hold_id: str, status: str, at: int) -> Hold | None:
    """End a hold; None where there is none to end."""
    hold = state.holds.get(hold_id)
    if hold is None or hold.status != "held":
        return None
    hold.status, hold.settled_at = status, at
    if hold.number <= state.granted - len(state.recent):
        del state.holds[hold_id]
    sale = state.sales.get(hold.sale_id)
    if sale is not None:
        _count(sale, hold, status)
        if sale.state in FINAL:
            _close(sale)
    return hold


def _count(sale: Sale, hold: Hold, status: str) -> None:
    sale.held -= len(hold.units)
    if status == "confirmed":
        sale.orders += 1
        sale.sold += len(hold.units)
        return
    if status == "released":
        sale.released += 1
    else:
        sale.expired += 1
    owners = sale.owners
    for unit in hold.units:
        if 0 < unit < len(owners) and owners[unit]:
            owners[unit] -= 1


def _close(sale: Sale) -> None:
    if sale.state in FINAL and sale.active <= 0:
        sale.closed, sale.owners = True, bytearray()


def paid(place: Place, event: Any) -> None:
    """A payment takes a step; its aggregate is found by the hold."""
    state = place.state
    status = _PAID[type(event)]
    hold = state.holds.get(place.key)
    if hold is not None:
        hold.payment = status
    order = state.orders.get(place.key)
    if order is not None:
        order.payment = status


def _trim(state: State) -> None:
    """Let sales go until there are as many as there may be. None that still sells goes."""
    idle = [(s.state == "draft", s.moved_position, i) for i, s in state.sales.items() if _is_idle(s)]
    for _, _, sale_id in sorted(idle)[: len(state.sales) - MAX_SALES]:
        _add(state.gone, state.sales.pop(sale_id))


def _is_idle(sale: Sale) -> bool:
    return sale.closed or (sale.state == "draft" and not sale.holds)


def _add(gone: Gone, sale: Sale) -> None:
    setattr(gone, sale.state, getattr(gone, sale.state) + 1)
    for name in ("stock", "held", "sold", "oversold", "duplicate_units", "orders", "holds"):
        setattr(gone, name, getattr(gone, name) + getattr(sale, name))


SALES: Final[dict[type[Any], Any]] = {
    SaleDrafted: drafted,
    SaleMoved: moved,
    SaleThrottled: throttled,
    UnitsHeld: held,
    HoldConfirmed: confirmed,
    HoldReleased: released,
    HoldExpired: expired,
}
PAYMENTS: Final[dict[type[Any], Any]] = dict.fromkeys(_PAID, paid)
