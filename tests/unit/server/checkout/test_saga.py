"""The next step follows from where the payment and the hold stand."""

import itertools

import pytest

from cells.kernel.money import Money
from server.checkout.saga import STEPS, Fate, Step, fate, watch, why_lost
from server.flash_sale.model import HoldFound, HoldStatus
from server.payments.model import OPEN, AttemptStatus, CheckoutSettled, Event, PaymentKeyUsed
from tests.unit.server.payments.payment import AT, HOLD, authorised, captured, declined, started, voided


def hold(status: HoldStatus, payment: str = "") -> HoldFound:
    return HoldFound(
        HOLD, "sal_1", "usr_1", "mer_1", "prd_1", "T", (1,), Money(1, "EUR"), status, 0, 9, "", payment, 0
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    (
        (hold(HoldStatus.HELD), Fate.UNDECIDED),
        (hold(HoldStatus.CONFIRMED, "pay_1"), Fate.WON),
        (hold(HoldStatus.CONFIRMED, "pay_2"), Fate.LOST),
        (hold(HoldStatus.RELEASED), Fate.LOST),
        (hold(HoldStatus.EXPIRED), Fate.LOST),
        (None, Fate.LOST),
    ),
)
def test_the_fate_of_a_hold(found, expected):
    assert fate("pay_1", found) is expected


def test_a_hold_past_its_time_is_undecided_until_the_sale_says_otherwise():
    assert hold(HoldStatus.HELD).expires_at < AT
    assert fate("pay_1", hold(HoldStatus.HELD)) is Fate.UNDECIDED


def test_the_table_covers_every_pair():
    assert set(STEPS) == set(itertools.product(AttemptStatus, Fate))


@pytest.mark.parametrize("status", AttemptStatus)
def test_money_is_taken_only_for_an_order_and_given_back_only_without_one(status):
    taking = {Fate.WON} if status is AttemptStatus.AUTHORISED else set()
    assert {f for f in Fate if STEPS[status, f] is Step.CAPTURE} == taking
    assert {f for f in Fate if STEPS[status, f] is Step.VOID} == ({Fate.LOST} if status in OPEN else set())
    assert all((STEPS[status, f] is Step.DONE) == (status not in OPEN) for f in Fate)


@pytest.mark.parametrize(
    ("found", "code"),
    (
        (None, "hold_expired"),
        (hold(HoldStatus.EXPIRED), "hold_expired"),
        (hold(HoldStatus.RELEASED), "hold_released"),
        (hold(HoldStatus.CONFIRMED, "pay_2"), "conflict"),
    ),
)
def test_why_a_hold_is_lost(found, code):
    assert why_lost(found) == code


def test_only_open_payments_are_watched():
    unfinished: dict[str, int] = {}
    steps: list[tuple[Event, dict[str, int]]] = [
        (started(at=5), {HOLD: 5}),
        (PaymentKeyUsed(b"k2", "pm_ok", 6), {HOLD: 5}),
        (declined(), {}),
        (started(b"k2", attempt=2, at=7), {HOLD: 7}),
        (authorised(2), {HOLD: AT}),
        (captured(2), {}),
        (CheckoutSettled("ord_1", 1, 1, 1), {}),
        (PaymentKeyUsed(b"k3", "pm_ok", 9), {}),
        (started(b"k4", attempt=3, at=8), {HOLD: 8}),
        (voided(3), {}),
    ]
    for event, expected in steps:
        watch(unfinished, HOLD, event)
        assert unfinished == expected
