"""Paying for a hold, step by step: what comes next follows from where the payment and the hold stand.

The sale's fold alone decides whether the hold becomes an order. Money is taken only after it did (`WON`), and given
back only after it can no longer (`LOST`); both are final there, so that api and recovery may race, crash and repeat.

| attempt    | undecided | won       | lost |
|------------|-----------|-----------|------|
| started    | authorise | authorise | void |
| authorised | confirm   | capture   | void |
| final      | done      | done      | done |

Started and won does not come about, because a hold is confirmed only after `PaymentAuthorised` is in the log.
"""

from enum import Enum
from typing import assert_never

from server.flash_sale.model import HoldFound, HoldStatus
from server.payments.model import (
    OPEN,
    AttemptStatus,
    CheckoutSettled,
    Event,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentKeyUsed,
    PaymentStarted,
    PaymentVoided,
    VoidReason,
)

UNFINISHED_MS = 5_000
"""How long after a payment's last event recovery leaves it to the api that began it."""


class Fate(Enum):
    """What became of the hold, seen from a payment for it."""

    UNDECIDED = "held: it may still become an order"
    WON = "confirmed with this payment"
    LOST = "it will never be confirmed with this payment"


class Step(Enum):
    """What to do next."""

    AUTHORISE = "ask the provider to keep the amount"
    CONFIRM = "ask the sale to turn the hold into an order"
    CAPTURE = "ask the provider to take the amount"
    VOID = "ask the provider to give the amount back"
    DONE = "nothing"


STEPS: dict[tuple[AttemptStatus, Fate], Step] = {
    (AttemptStatus.STARTED, Fate.UNDECIDED): Step.AUTHORISE,
    (AttemptStatus.STARTED, Fate.WON): Step.AUTHORISE,
    (AttemptStatus.STARTED, Fate.LOST): Step.VOID,
    (AttemptStatus.AUTHORISED, Fate.UNDECIDED): Step.CONFIRM,
    (AttemptStatus.AUTHORISED, Fate.WON): Step.CAPTURE,
    (AttemptStatus.AUTHORISED, Fate.LOST): Step.VOID,
    **{(status, fate): Step.DONE for status in AttemptStatus if status not in OPEN for fate in Fate},
}


def fate(payment_id: str, hold: HoldFound | None) -> Fate:
    """Judge a hold as the sale's fold has it. None: the fold has forgotten it, which only lost holds are."""
    if hold is None:
        return Fate.LOST
    match hold.status:
        case HoldStatus.HELD:
            # Past its time it still is undecided: only the fold's own event ends it.
            return Fate.UNDECIDED
        case HoldStatus.CONFIRMED:
            return Fate.WON if hold.payment_id == payment_id else Fate.LOST
        case HoldStatus.RELEASED | HoldStatus.EXPIRED:
            return Fate.LOST
        case _:
            assert_never(hold.status)


def why_lost(hold: HoldFound | None) -> VoidReason:
    """Return the code that says why a lost hold cannot be confirmed."""
    if hold is None or hold.status is HoldStatus.EXPIRED:
        return "hold_expired"
    return "hold_released" if hold.status is HoldStatus.RELEASED else "conflict"


def watch(unfinished: dict[str, int], hold_id: str, event: Event) -> None:
    """Keep up, in place, which payments are open, and since when nothing happened to them (epoch milliseconds)."""
    match event:
        case PaymentStarted() | PaymentAuthorised():
            unfinished[hold_id] = event.at
        case PaymentDeclined() | PaymentCaptured() | PaymentVoided():
            unfinished.pop(hold_id, None)
        case PaymentKeyUsed() | CheckoutSettled():
            pass
        case _:
            assert_never(event)
