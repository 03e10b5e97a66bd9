"""The words of a payment: one per hold, with one attempt after the other until one is authorised.

The aggregate's key is the hold's id. A declined attempt may be followed by another with another method; an
attempt that is neither declined, captured nor voided is open, and there is at most one.
"""

from enum import Enum
from typing import Literal

import msgspec

from cells.kernel.codec import EventKind, Registry
from cells.kernel.money import Money

KIND = "pay"

MAX_ATTEMPTS = 16
MAX_KEYS = 64
"""Idempotency-Keys remembered per payment. What comes with further ones after that is answered, not remembered."""

VoidReason = Literal["hold_expired", "hold_released", "conflict"]
"""Why the hold could not become an order; each is a code of `cells.kernel.errors`."""


class AttemptStatus(Enum):
    """Where an attempt stands. The last three are final."""

    STARTED = "started"
    AUTHORISED = "authorised"
    DECLINED = "declined"
    CAPTURED = "captured"
    VOIDED = "voided"


OPEN = frozenset({AttemptStatus.STARTED, AttemptStatus.AUTHORISED})


# --- events --------------------------------------------------------------------------------------------------------


class PaymentStarted(msgspec.Struct, frozen=True, array_like=True):
    """An attempt began: from here on its outcome at the provider is unknown until an event says it.

    `key` is the digest of buyer and Idempotency-Key; `attempt` counts from 1.
    """

    payment_id: str
    hold_id: str
    sale_id: str
    buyer_id: str
    merchant_id: str
    amount: Money
    attempt: int
    method: str
    key: bytes
    at: int


class PaymentKeyUsed(msgspec.Struct, frozen=True, array_like=True):
    """A further Idempotency-Key came for the hold while an attempt was open or after it succeeded."""

    key: bytes
    method: str
    at: int


class PaymentAuthorised(msgspec.Struct, frozen=True, array_like=True):
    """The provider keeps the amount for us under `reference`."""

    attempt: int
    reference: str
    at: int


class PaymentDeclined(msgspec.Struct, frozen=True, array_like=True):
    """The provider said no; nothing is kept and nothing is owed."""

    attempt: int
    reason: str
    at: int


class PaymentCaptured(msgspec.Struct, frozen=True, array_like=True):
    """The amount was taken. The hold is confirmed with this payment."""

    attempt: int
    at: int


class PaymentVoided(msgspec.Struct, frozen=True, array_like=True):
    """The provider keeps nothing under the attempt and never will. The hold did not become an order."""

    attempt: int
    reason: VoidReason
    at: int


class CheckoutSettled(msgspec.Struct, frozen=True, array_like=True):
    """The order that the captured payment paid; what every answer to a confirm repeats."""

    order_id: str
    placed_at: int
    position: int
    at: int


Event = (
    PaymentStarted
    | PaymentKeyUsed
    | PaymentAuthorised
    | PaymentDeclined
    | PaymentCaptured
    | PaymentVoided
    | CheckoutSettled
)

EVENTS = Registry(
    [
        EventKind("PaymentStarted", PaymentStarted),
        EventKind("PaymentKeyUsed", PaymentKeyUsed),
        EventKind("PaymentAuthorised", PaymentAuthorised),
        EventKind("PaymentDeclined", PaymentDeclined),
        EventKind("PaymentCaptured", PaymentCaptured),
        EventKind("PaymentVoided", PaymentVoided),
        EventKind("CheckoutSettled", CheckoutSettled),
    ]
)


# --- state ---------------------------------------------------------------------------------------------------------


class Attempt(msgspec.Struct, frozen=True):
    """One try with one method. `reason` says why it was declined or voided."""

    number: int
    method: str
    status: AttemptStatus = AttemptStatus.STARTED
    reason: str = ""


class KeyUse(msgspec.Struct, frozen=True):
    """What an Idempotency-Key asked for. `attempt` is 0 while it has led to no attempt of its own."""

    method: str
    attempt: int


class PlacedOrder(msgspec.Struct, frozen=True):
    """The order as the confirming commit made it."""

    id: str
    placed_at: int
    position: int


class NoPayment(msgspec.Struct, frozen=True):
    """Nobody has tried to pay for the hold."""


class Payment(msgspec.Struct, frozen=True):
    """A hold's payment. `order` is set once it is captured."""

    id: str
    hold_id: str
    sale_id: str
    buyer_id: str
    merchant_id: str
    amount: Money
    attempts: tuple[Attempt, ...]
    keys: dict[bytes, KeyUse]
    order: PlacedOrder | None = None

    @property
    def latest(self) -> Attempt:
        """The attempt that counts: the only one that is not final, or the last one."""
        return self.attempts[-1]

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to bring the payment to its end."""
        return self.latest.status in OPEN

    def reference(self) -> str:
        """The name of the latest attempt at the provider."""
        return f"{self.hold_id}:{self.latest.number}"


State = NoPayment | Payment


# --- commands ------------------------------------------------------------------------------------------------------


class StartPayment(msgspec.Struct, frozen=True):
    """Pay for a hold. `payment_id` is used only if the hold has no payment yet."""

    payment_id: str
    hold_id: str
    sale_id: str
    buyer_id: str
    merchant_id: str
    amount: Money
    method: str
    key: bytes


class RecordAuthorised(msgspec.Struct, frozen=True):
    """The provider authorised an attempt."""

    attempt: int
    reference: str


class RecordDeclined(msgspec.Struct, frozen=True):
    """The provider declined an attempt."""

    attempt: int
    reason: str


class RecordCaptured(msgspec.Struct, frozen=True):
    """The provider captured an attempt that paid this order."""

    attempt: int
    order: PlacedOrder


class RecordVoided(msgspec.Struct, frozen=True):
    """The provider voided an attempt, or will refuse it."""

    attempt: int
    reason: VoidReason


Command = StartPayment | RecordAuthorised | RecordDeclined | RecordCaptured | RecordVoided
