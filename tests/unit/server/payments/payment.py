"""Words that the tests of payments share."""

from functools import reduce

from cells.kernel.ids import new_id
from cells.kernel.money import Money
from server.payments.decide import decide, evolve
from server.payments.model import (
    Command,
    Event,
    NoPayment,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentStarted,
    PaymentVoided,
    PlacedOrder,
    StartPayment,
    State,
)

NOW = 1_800_000_000_000
AT = NOW - 1_000
PRICE = Money(4990, "EUR")
HOLD = new_id("hld", 7, AT, bytes(10))
ORDER = PlacedOrder("ord_1", AT, 42)


def start(
    key: bytes = b"k1", method: str = "pm_ok", buyer: str = "usr_1", payment: str = "pay_1"
) -> StartPayment:
    return StartPayment(payment, HOLD, "sal_1", buyer, "mer_1", PRICE, method, key)


def started(key: bytes = b"k1", method: str = "pm_ok", attempt: int = 1, at: int = AT) -> PaymentStarted:
    return PaymentStarted("pay_1", HOLD, "sal_1", "usr_1", "mer_1", PRICE, attempt, method, key, at)


def authorised(attempt: int = 1) -> PaymentAuthorised:
    return PaymentAuthorised(attempt, f"{HOLD}:{attempt}", AT)


def declined(attempt: int = 1) -> PaymentDeclined:
    return PaymentDeclined(attempt, "no", AT)


def captured(attempt: int = 1) -> PaymentCaptured:
    return PaymentCaptured(attempt, AT)


def voided(attempt: int = 1) -> PaymentVoided:
    return PaymentVoided(attempt, "hold_expired", AT)


def given(*events: Event) -> State:
    initial: State = NoPayment()
    return reduce(evolve, events, initial)


def when(state: State, command: Command) -> list[Event]:
    return decide(state, command, NOW)
