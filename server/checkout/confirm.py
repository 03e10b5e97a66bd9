"""Confirming a hold: paying for it, and answering once the money is captured, durably.

An answer therefore never says anything but `captured`, and a repeat has the same body as the first.
"""

import asyncio
from collections.abc import Callable

import msgspec

from cells.kernel.clock import rfc3339
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id
from server.checkout.adapters import Checkout
from server.checkout.saga import why_lost
from server.flash_sale.model import HoldFound, HoldStatus
from server.flash_sale.wire import key_digest
from server.orders.model import Order
from server.payments.decide import failure, recall
from server.payments.model import Attempt, AttemptStatus, NoPayment, Payment
from server.payments.rules import known_method

CONFIRM_SECONDS = 10.0

# What the log and the writer say when they cannot do their part. It says nothing of what was begun before.
_NOT_NOW = frozenset({"unavailable", "overloaded", "fenced"})


class Paid(msgspec.Struct, frozen=True):
    """The hold is an order and its money is captured. `replayed`: this call did not begin the attempt that paid."""

    payment: Payment
    hold: HoldFound
    replayed: bool


async def confirm(
    checkout: Checkout, hold_id: str, buyer_id: str, method: str, key: str, seconds: float = CONFIRM_SECONDS
) -> Paid:
    """Pay for a hold, by a sandbox method's name and an Idempotency-Key, within a deadline.

    Raises `Rejected`: what `pay` raises, `bad_request`; out of time it is `outcome_unknown`, or `unavailable` when
    nothing had been begun.
    """
    known_method(method)
    if not is_id("hld", hold_id):
        raise Rejected("not_found", "There is no such hold, or it is not yours.")
    begun = asyncio.Event()
    try:
        async with asyncio.timeout(seconds):
            return await pay(checkout, hold_id, buyer_id, method, key_digest(buyer_id, key), begun.set)
    except TimeoutError:
        if begun.is_set():
            detail = "The payment is not finished; ask again with the same Idempotency-Key."
            raise Rejected("outcome_unknown", detail, retry_after_ms=1000) from None
        detail = "The hold could not be read in time; nothing was begun."
        raise Rejected("unavailable", detail, retry_after_ms=1000) from None


async def pay(
    checkout: Checkout, hold_id: str, buyer_id: str, method: str, key: bytes, on_begin: Callable[[], None]
) -> Paid:
    """Pay for a hold and wait for the order, for as long as it takes: give it a deadline.

    `on_begin` is called before the first effect, or when an earlier confirm has left one: running out of time after
    it leaves the outcome unknown, while a `Rejected` says it as it is. Somebody else's attempt that is open is brought to its end first, and if it pays,
    its order is the answer. Raises `Rejected`: `not_found`, `hold_expired`, `hold_released`, `payment_declined`,
    `key_reused`; `Repeated` where the key had led to a refusal before.
    """
    known = await _recalled(checkout, hold_id, buyer_id, method, key)
    may_pay = known is not None and failure(_answering(known, key)) is None
    if may_pay:
        on_begin()
    try:
        hold = await checkout.find(known.sale_id if known else "", hold_id, buyer_id)
        if hold.status is not HoldStatus.HELD:
            # What decided about the hold may be a payment that began after it was looked for.
            known = await _recalled(checkout, hold_id, buyer_id, method, key)
            _demand_payable(known, hold)
        on_begin()
        return await _pay(checkout, hold, method, key)
    except Rejected as rejected:
        if may_pay and rejected.code in _NOT_NOW:
            raise Rejected("outcome_unknown", rejected.detail, retry_after_ms=1000) from rejected
        raise


async def _recalled(
    checkout: Checkout, hold_id: str, buyer_id: str, method: str, key: bytes
) -> Payment | None:
    known = await checkout.payment(hold_id)
    if isinstance(known, NoPayment):
        return None
    recall(known, buyer_id, key, method)
    return known


def _demand_payable(payment: Payment | None, hold: HoldFound) -> None:
    """Raise why a hold that is held no more cannot be paid for, unless a payment is open or has paid for it."""
    if payment is None or failure(payment.latest) is not None:
        raise Rejected(why_lost(hold))


async def _pay(checkout: Checkout, hold: HoldFound | None, method: str, key: bytes) -> Paid:
    replayed = True
    while hold is not None:
        payment, began = await checkout.start(hold, method, key)
        replayed = replayed and not began
        payment, hold = await checkout.finish(payment, hold)
        attempt = _answering(payment, key)
        refusal = failure(attempt)
        if refusal is None and hold is not None:
            return Paid(payment, hold, replayed)
        if refusal is not None and not (attempt.status is AttemptStatus.DECLINED and _joined(payment, key)):
            raise refusal
    raise Rejected("hold_expired")


def _joined(payment: Payment, key: bytes) -> bool:
    """Tell whether a key has led to no attempt of its own: it came while another's was open, or after it paid."""
    use = payment.keys.get(key)
    return use is None or not use.attempt


def _answering(payment: Payment, key: bytes) -> Attempt:
    """Return the attempt whose outcome is the answer to a key: its own, or the one it joined."""
    return payment.latest if _joined(payment, key) else payment.attempts[payment.keys[key].attempt - 1]


def order_of(paid: Paid) -> Order:
    """Describe the order that was paid."""
    placed, hold = paid.payment.order, paid.hold
    if placed is None:
        raise TypeError(f"payment {paid.payment.id} is captured without an order")
    return Order(
        placed.id,
        hold.sale_id,
        hold.hold_id,
        hold.buyer_id,
        hold.merchant_id,
        hold.product_id,
        hold.title,
        list(hold.units),
        len(hold.units),
        hold.price,
        paid.payment.amount,
        rfc3339(placed.placed_at),
        placed.position,
        payment_status="captured",
    )
