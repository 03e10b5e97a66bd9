"""The sandbox provider's book: what it has booked under a reference, and what it says about it.

The first booking under a reference stands for ever. Voiding a reference that was never booked leaves a tombstone:
an authorisation that arrives later is refused.
"""

from enum import Enum
from typing import assert_never

import msgspec

from cells.kernel.codec import EventKind, Registry
from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected
from cells.kernel.money import Money

KIND = "bank"


class Method(Enum):
    """Sandbox payment methods, by the names that clients send."""

    OK = "pm_ok"
    DECLINED = "pm_declined"
    TIMEOUT = "pm_timeout"
    SLOW = "pm_slow"
    DUPLICATE = "pm_duplicate"


METHODS = tuple(m.value for m in Method)


def known_method(name: str) -> Method:
    """Return the method with this name. Raises `Rejected` (bad_request) that lists the names."""
    try:
        return Method(name)
    except ValueError:
        raise Rejected("bad_request", f"payment_method has to be one of: {', '.join(METHODS)}.") from None


class Authorised(msgspec.Struct, frozen=True, array_like=True):
    """The amount is kept."""

    amount: Money
    method: str
    at: int


class Declined(msgspec.Struct, frozen=True, array_like=True):
    """Nothing is kept."""

    reason: str
    at: int


class Captured(msgspec.Struct, frozen=True, array_like=True):
    """What was kept is taken."""

    at: int


class Voided(msgspec.Struct, frozen=True, array_like=True):
    """Nothing is kept, and nothing ever will be."""

    at: int


Event = Authorised | Declined | Captured | Voided

EVENTS = Registry(
    [
        EventKind("BookingAuthorised", Authorised),
        EventKind("BookingDeclined", Declined),
        EventKind("BookingCaptured", Captured),
        EventKind("BookingVoided", Voided),
    ]
)


class BookingStatus(Enum):
    """Where a reference stands in the book."""

    NONE = "none"
    AUTHORISED = "authorised"
    DECLINED = "declined"
    CAPTURED = "captured"
    VOIDED = "voided"


class Booking(msgspec.Struct, frozen=True):
    """What is booked under one reference. `amount` is kept or taken, as `status` says."""

    status: BookingStatus = BookingStatus.NONE
    amount: Money | None = None
    reason: str = ""


class Authorise(msgspec.Struct, frozen=True):
    """Keep an amount."""

    amount: Money
    method: Method


class Capture(msgspec.Struct, frozen=True):
    """Take what is kept."""


class Void(msgspec.Struct, frozen=True):
    """Give back what is kept, and refuse what may still come."""


Command = Authorise | Capture | Void


def decide(booking: Booking, command: Command, now: int) -> list[Event]:
    """Return what is booked; nothing for a command that has no effect from where the booking stands."""
    match command:
        case Authorise(amount, method):
            if booking.status is not BookingStatus.NONE:
                return []
            if method is Method.DECLINED:
                return [Declined("the card was refused", now)]
            return [Authorised(amount, method.value, now)]
        case Capture():
            return [Captured(now)] if booking.status is BookingStatus.AUTHORISED else []
        case Void():
            return [Voided(now)] if booking.status in (BookingStatus.NONE, BookingStatus.AUTHORISED) else []
        case _:
            assert_never(command)


def evolve(booking: Booking, event: Event) -> Booking:
    """Return the booking after one event."""
    match event:
        case Authorised(amount):
            return Booking(BookingStatus.AUTHORISED, amount)
        case Declined(reason):
            return Booking(BookingStatus.DECLINED, reason=reason)
        case Captured():
            return msgspec.structs.replace(booking, status=BookingStatus.CAPTURED)
        case Voided():
            return msgspec.structs.replace(booking, status=BookingStatus.VOIDED)
        case _:
            assert_never(event)


BOOK: Decider[Booking, Command] = Decider(KIND, Booking, decide, evolve, EVENTS)


def subject_key(reference: str) -> str:
    """Encode a reference as one token of a subject; different references stay different."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f"={ord(c):x}=" for c in reference)
