"""What commits of a sale are to its merchant's webhooks."""

import json
from typing import Any, get_args

import msgspec
import pytest

from cells.engine.project import Recorded
from cells.kernel.money import Money
from server.flash_sale.model import (
    HoldConfirmed,
    HoldExpired,
    HoldReleased,
    SaleMoved,
    SaleThrottled,
    State,
    UnitsHeld,
)
from server.payments.model import PaymentCaptured, PaymentDeclined, PaymentVoided
from server.webhooks.model import Type
from server.webhooks.told import _TELL, Known, KnownHold, KnownSale, told, wanted

T0 = 1_800_000_000_000
STATES: tuple[State, ...] = ("armed", "open", "paused", "ended", "killed")
KNOWN = Known(
    {"sal_1": KnownSale("mer_1", "prd_1", "Drop", Money(1000, "EUR"))},
    {"hld_1": KnownHold("sal_1", "usr_1", (3, 4))},
)


def sale_commit(*events: msgspec.Struct) -> Recorded:
    return Recorded(9, "log.007.sale.sal_1", 7, "sale", "sal_1", 4, T0, list(events))


def told_of(*events: msgspec.Struct) -> list[tuple[str, dict[str, Any]]]:
    found = told(sale_commit(*events), KNOWN)
    assert {each.merchant_id for each in found} <= {"mer_1"}
    return [(each.type, json.loads(each.body)["data"]) for each in found]


@pytest.mark.parametrize(
    ("event", "type_", "data"),
    (
        (SaleMoved("open", "mer_1", "", T0), "sale.opened", {"state": "open", "reason": ""}),
        (SaleMoved("killed", "opr_1", "wrong price", T0), "sale.killed", {"state": "killed"}),
        (SaleThrottled(7, "opr_1", "rush", T0), "sale.throttled", {"per_second": 7, "reason": "rush"}),
        (SaleThrottled(None, "opr_1", "calm", T0), "sale.throttled", {"per_second": None}),
        (UnitsHeld("hld_1", "usr_1", (3, 4), b"", T0 + 1, T0), "hold.granted", {"units": [3, 4]}),
        (HoldReleased("hld_1", T0), "hold.released", {"buyer_id": "usr_1"}),
        (HoldExpired("hld_1", T0), "hold.expired", {"quantity": 2}),
    ),
)
def test_an_event_of_a_sale_is_told_with_what_it_is_about(event, type_, data):
    [(named, body)] = told_of(event)

    assert named == type_
    assert body["sale_id"] == "sal_1"
    assert body.items() >= data.items()


def test_a_confirmed_hold_is_an_order_too():
    confirmed, order = told_of(HoldConfirmed("hld_1", "ord_1", "pay_1", T0))

    assert (confirmed[0], order[0]) == ("hold.confirmed", "order.created")
    assert order[1]["total"] == {"amount": 2000, "currency": "EUR"}


def test_an_event_has_the_same_id_and_body_whenever_it_is_made():
    events = [SaleMoved("paused", "mer_1", "", T0), SaleThrottled(7, "opr_1", "rush", T0)]
    first, again = told(sale_commit(*events), KNOWN), told(sale_commit(*events), KNOWN)

    assert first == again
    assert len({each.id for each in first}) == 2


def test_what_a_batch_has_to_know_is_what_its_events_are_about():
    assert wanted([sale_commit(SaleThrottled(7, "opr_1", "", T0), HoldReleased("hld_1", T0))]) == (
        {"sal_1"},
        {"hld_1"},
    )


def test_every_type_that_can_be_asked_for_is_told():
    events: list[msgspec.Struct] = [
        *(SaleMoved(state, "", "", T0) for state in STATES),
        SaleThrottled(7, "", "", T0),
        UnitsHeld("hld_1", "usr_1", (1,), b"", T0, T0),
        HoldConfirmed("hld_1", "ord_1", "pay_1", T0),
        HoldReleased("hld_1", T0),
        HoldExpired("hld_1", T0),
    ]
    payments = {PaymentCaptured, PaymentDeclined, PaymentVoided}
    types = {each.type for each in told(sale_commit(*events), KNOWN)}

    assert types | {"payment.captured", "payment.declined", "payment.voided"} == set(get_args(Type))
    assert {type(event) for event in events} | payments == set(_TELL)
