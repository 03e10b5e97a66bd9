"""The rules of a payment. Answers of the provider may come twice, late and from several processes at once.

An attempt moves only along `MOVES`; an answer that leads nowhere from where the attempt stands changes nothing.
"""

from typing import assert_never

import msgspec

from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected
from server.payments.model import (
    EVENTS,
    KIND,
    MAX_ATTEMPTS,
    MAX_KEYS,
    Attempt,
    AttemptStatus,
    CheckoutSettled,
    Command,
    Event,
    KeyUse,
    NoPayment,
    Payment,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentKeyUsed,
    PaymentStarted,
    PaymentVoided,
    PlacedOrder,
    RecordAuthorised,
    RecordCaptured,
    RecordDeclined,
    RecordVoided,
    StartPayment,
    State,
)

MOVES: frozenset[tuple[AttemptStatus, AttemptStatus]] = frozenset(
    {
        (AttemptStatus.STARTED, AttemptStatus.AUTHORISED),
        (AttemptStatus.STARTED, AttemptStatus.DECLINED),
        (AttemptStatus.STARTED, AttemptStatus.VOIDED),
        (AttemptStatus.AUTHORISED, AttemptStatus.CAPTURED),
        (AttemptStatus.AUTHORISED, AttemptStatus.VOIDED),
    }
)


def decide(state: State, command: Command, now: int) -> list[Event]:
    """Return what happens. Raises `Rejected`: `key_reused`, and for a key or hold that is done its first refusal."""
    match command:
        case StartPayment():
            return _start(state, command, now)
        case RecordAuthorised(attempt, reference):
            moved = _moves(state, attempt, AttemptStatus.AUTHORISED)
            return [PaymentAuthorised(attempt, reference, now)] if moved else []
        case RecordDeclined(attempt, reason):
            moved = _moves(state, attempt, AttemptStatus.DECLINED)
            return [PaymentDeclined(attempt, reason, now)] if moved else []
        case RecordCaptured(attempt, order):
            if not _moves(state, attempt, AttemptStatus.CAPTURED):
                return []
            settled = CheckoutSettled(order.id, order.placed_at, order.position, now)
            return [PaymentCaptured(attempt, now), settled]
        case RecordVoided(attempt, reason):
            return (
                [PaymentVoided(attempt, reason, now)] if _moves(state, attempt, AttemptStatus.VOIDED) else []
            )
        case _:
            assert_never(command)


def _start(state: State, command: StartPayment, now: int) -> list[Event]:
    if isinstance(state, NoPayment):
        return [_started(command, 1, now)]
    recall(state, command.buyer_id, command.key, command.method)
    used = state.keys.get(command.key)
    if used is not None and used.attempt:
        return []
    match state.latest.status:
        case AttemptStatus.STARTED | AttemptStatus.AUTHORISED | AttemptStatus.CAPTURED:
            fresh = used is None and len(state.keys) < MAX_KEYS
            return [PaymentKeyUsed(command.key, command.method, now)] if fresh else []
        case AttemptStatus.VOIDED:
            raise Rejected(state.latest.reason)
        case AttemptStatus.DECLINED:
            if state.latest.number >= MAX_ATTEMPTS:
                raise Rejected("payment_declined", f"{MAX_ATTEMPTS} attempts to pay this hold were declined.")
            return [_started(command, state.latest.number + 1, now)]
        case _:
            assert_never(state.latest.status)


class Repeated(Rejected):
    """The refusal that a key had led to before, once more."""


def recall(payment: Payment, buyer_id: str, key: bytes, method: str) -> None:
    """Raise what the payment says to a key without looking any further; return when it says nothing.

    Raises `Repeated` for a key whose attempt failed, `Rejected`: `not_found` to another buyer, `key_reused`.
    """
    if payment.buyer_id != buyer_id:
        raise Rejected("not_found")
    used = payment.keys.get(key)
    if used is None:
        return
    if used.method != method:
        raise Rejected("key_reused", f"The key was used to pay this hold with {used.method}.")
    if used.attempt:
        refusal = failure(payment.attempts[used.attempt - 1])
        if refusal is not None:
            raise Repeated(refusal.code, refusal.detail)


def failure(attempt: Attempt) -> Rejected | None:
    """Return the refusal that an attempt ended in, the same one every time; None when it did not fail."""
    match attempt.status:
        case AttemptStatus.DECLINED:
            return Rejected("payment_declined", f"The payment was declined: {attempt.reason}.")
        case AttemptStatus.VOIDED:
            return Rejected(attempt.reason)
        case AttemptStatus.STARTED | AttemptStatus.AUTHORISED | AttemptStatus.CAPTURED:
            return None
        case _:
            assert_never(attempt.status)


def _started(command: StartPayment, attempt: int, now: int) -> PaymentStarted:
    described = {name: getattr(command, name) for name in command.__struct_fields__}
    return PaymentStarted(**described, attempt=attempt, at=now)


def _moves(state: State, attempt: int, to: AttemptStatus) -> bool:
    if isinstance(state, NoPayment) or not 0 < attempt <= len(state.attempts):
        return False
    return (state.attempts[attempt - 1].status, to) in MOVES


def evolve(state: State, event: Event) -> State:  # noqa: PLR0911 - one return an event
    """Return the payment after one event."""
    if isinstance(event, PaymentStarted):
        return _begun(state, event)
    if isinstance(state, NoPayment):
        raise TypeError(f"{type(event).__name__} before PaymentStarted")
    match event:
        case PaymentKeyUsed(key, method):
            return msgspec.structs.replace(state, keys={**state.keys, key: KeyUse(method, 0)})
        case PaymentAuthorised(attempt):
            return _moved(state, attempt, AttemptStatus.AUTHORISED)
        case PaymentDeclined(attempt, reason):
            return _moved(state, attempt, AttemptStatus.DECLINED, reason)
        case PaymentCaptured(attempt):
            return _moved(state, attempt, AttemptStatus.CAPTURED)
        case PaymentVoided(attempt, void_reason):
            return _moved(state, attempt, AttemptStatus.VOIDED, void_reason)
        case CheckoutSettled(order_id, placed_at, position):
            return msgspec.structs.replace(state, order=PlacedOrder(order_id, placed_at, position))
        case _:
            assert_never(event)


def _begun(state: State, event: PaymentStarted) -> Payment:
    attempt, use = Attempt(event.attempt, event.method), KeyUse(event.method, event.attempt)
    if isinstance(state, Payment):
        keys = {**state.keys, event.key: use}
        return msgspec.structs.replace(state, attempts=(*state.attempts, attempt), keys=keys)
    return Payment(
        event.payment_id,
        event.hold_id,
        event.sale_id,
        event.buyer_id,
        event.merchant_id,
        event.amount,
        (attempt,),
        {event.key: use},
    )


def _moved(payment: Payment, number: int, status: AttemptStatus, reason: str = "") -> Payment:
    attempts = tuple(
        msgspec.structs.replace(a, status=status, reason=reason) if a.number == number else a
        for a in payment.attempts
    )
    return msgspec.structs.replace(payment, attempts=attempts)


def _initial() -> State:
    return NoPayment()


PAYMENT: Decider[State, Command] = Decider(KIND, _initial, decide, evolve, EVENTS)
