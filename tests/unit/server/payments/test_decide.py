"""One payment per hold, one open attempt at a time, and an answer that comes twice changes nothing."""

import itertools

import pytest

from cells.kernel import envelope
from cells.kernel.errors import Rejected
from server.payments.decide import MOVES, Repeated
from server.payments.model import (
    EVENTS,
    MAX_ATTEMPTS,
    MAX_KEYS,
    AttemptStatus,
    CheckoutSettled,
    Command,
    Event,
    Payment,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentKeyUsed,
    PaymentVoided,
    RecordAuthorised,
    RecordCaptured,
    RecordDeclined,
    RecordVoided,
)
from tests.unit.server.payments.payment import (
    HOLD,
    NOW,
    ORDER,
    authorised,
    captured,
    declined,
    given,
    start,
    started,
    voided,
    when,
)


def test_the_first_confirm_starts_the_first_attempt():
    assert when(given(), start()) == [started(at=NOW)]


def test_a_repeat_with_the_same_key_starts_nothing():
    assert when(given(started()), start()) == []
    assert when(given(started(), authorised(), captured()), start()) == []


def test_another_key_joins_the_open_attempt():
    assert when(given(started()), start(b"k2", "pm_slow")) == [PaymentKeyUsed(b"k2", "pm_slow", NOW)]


def test_another_key_after_success_starts_nothing():
    assert when(given(started(), authorised(), captured()), start(b"k2")) == [
        PaymentKeyUsed(b"k2", "pm_ok", NOW)
    ]


def test_keys_remembered_are_bounded():
    many = [PaymentKeyUsed(b"%d" % n, "pm_ok", NOW) for n in range(MAX_KEYS - 1)]
    assert when(given(started(), *many), start(b"k2")) == []


def test_a_key_with_another_method_is_refused():
    for state in (given(started()), given(started(), declined()), given(started(), authorised(), captured())):
        with pytest.raises(Rejected) as refused:
            when(state, start(method="pm_slow"))
        assert refused.value.code == "key_reused"


def test_a_key_that_joined_is_bound_to_its_method():
    with pytest.raises(Rejected) as refused:
        when(given(started(), PaymentKeyUsed(b"k2", "pm_ok", NOW)), start(b"k2", "pm_slow"))
    assert refused.value.code == "key_reused"


def test_a_declined_attempt_may_be_followed_by_another_with_a_new_key():
    assert when(given(started(), declined()), start(b"k2", "pm_slow")) == [started(b"k2", "pm_slow", 2, NOW)]


def test_a_key_that_joined_a_declined_attempt_may_start_its_own():
    state = given(started(), PaymentKeyUsed(b"k2", "pm_ok", NOW), declined())
    assert when(state, start(b"k2")) == [started(b"k2", "pm_ok", 2, NOW)]


def test_a_key_whose_attempt_was_declined_gets_the_same_refusal_for_ever():
    refusals = []
    for later in ((), (started(b"k2", attempt=2),), (started(b"k2", attempt=2), authorised(2), captured(2))):
        with pytest.raises(Repeated) as refused:
            when(given(started(), declined(), *later), start())
        refusals.append((refused.value.code, refused.value.detail))
    assert set(refusals) == {("payment_declined", "The payment was declined: no.")}


def test_attempts_are_bounded():
    events: list[Event] = []
    for n in range(1, MAX_ATTEMPTS + 1):
        events += [started(b"k%d" % n, attempt=n), declined(n)]
    with pytest.raises(Rejected) as refused:
        when(given(*events), start(b"new"))
    assert refused.value.code == "payment_declined"


def test_a_voided_payment_is_not_started_again():
    with pytest.raises(Rejected) as refused:
        when(given(started(), voided()), start(b"k2"))
    assert refused.value.code == "hold_expired"


def test_another_buyer_sees_nothing():
    with pytest.raises(Rejected) as refused:
        when(given(started()), start(buyer="usr_2"))
    assert refused.value.code == "not_found"


PAST = {
    AttemptStatus.STARTED: (started(),),
    AttemptStatus.AUTHORISED: (started(), authorised()),
    AttemptStatus.DECLINED: (started(), declined()),
    AttemptStatus.CAPTURED: (started(), authorised(), captured()),
    AttemptStatus.VOIDED: (started(), voided()),
}
RECORDS: dict[AttemptStatus, tuple[Command, list[Event]]] = {
    AttemptStatus.AUTHORISED: (RecordAuthorised(1, f"{HOLD}:1"), [PaymentAuthorised(1, f"{HOLD}:1", NOW)]),
    AttemptStatus.DECLINED: (RecordDeclined(1, "no"), [PaymentDeclined(1, "no", NOW)]),
    AttemptStatus.CAPTURED: (
        RecordCaptured(1, ORDER),
        [PaymentCaptured(1, NOW), CheckoutSettled(ORDER.id, ORDER.placed_at, ORDER.position, NOW)],
    ),
    AttemptStatus.VOIDED: (RecordVoided(1, "hold_expired"), [PaymentVoided(1, "hold_expired", NOW)]),
}


@pytest.mark.parametrize(("stands", "to"), list(itertools.product(PAST, RECORDS)))
def test_an_answer_moves_an_attempt_along_the_table_or_changes_nothing(stands, to):
    command, events = RECORDS[to]
    state = given(*PAST[stands])
    assert when(state, command) == (events if (stands, to) in MOVES else [])


@pytest.mark.parametrize("command", [c for c, _ in RECORDS.values()])
def test_an_answer_for_no_attempt_changes_nothing(command):
    assert when(given(), command) == []
    assert when(given(started(), declined(), started(b"k2", attempt=2), voided(2)), command) == []


def test_the_order_is_remembered():
    state = given(
        started(), authorised(), captured(), CheckoutSettled(ORDER.id, ORDER.placed_at, ORDER.position, NOW)
    )
    assert isinstance(state, Payment)
    assert state.order == ORDER
    assert not state.is_open


def test_every_event_survives_the_log():
    events = [
        started(),
        PaymentKeyUsed(b"k", "pm_ok", NOW),
        authorised(),
        declined(),
        captured(),
        voided(),
        CheckoutSettled("ord_1", NOW, 3, NOW),
    ]
    body = envelope.encode(EVENTS, 1, NOW, envelope.GENESIS, events)
    assert envelope.decode(EVENTS, body).events == events
    assert len(EVENTS.names) == len(events)
