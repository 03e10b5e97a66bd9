"""What paying asks of a payment provider, and a provider in memory."""

from collections import deque
from typing import Protocol, assert_never

import msgspec

from cells.kernel.clock import Clock
from cells.kernel.money import Money
from server.payments import rules
from server.payments.rules import Booking, BookingStatus, Method


class Authorised(msgspec.Struct, frozen=True):
    """The amount is kept for us and not taken yet."""

    reference: str


class Declined(msgspec.Struct, frozen=True):
    """The provider said no, for good."""

    reason: str


class Captured(msgspec.Struct, frozen=True):
    """The amount is taken."""


class Voided(msgspec.Struct, frozen=True):
    """Nothing is kept, and an authorisation that arrives later is refused."""


class NotBooked(msgspec.Struct, frozen=True):
    """The provider has not heard of the reference; a call that is under way may still reach it."""


class TimedOut(msgspec.Struct, frozen=True):
    """No answer came. The call may have had its effect, or have it later."""


Standing = Authorised | Declined | Captured | Voided | NotBooked | TimedOut
"""Where a reference stands at the provider, as far as its answer says."""


class PaymentProvider(Protocol):
    """Every call is idempotent by its reference, and answers within seconds or with `TimedOut`; none raises."""

    async def authorise(self, reference: str, amount: Money, method: str) -> tuple[Standing, ...]:
        """Keep an amount. A provider may answer more than once; all its answers are returned, in order.

        Raises `Rejected` (bad_request) for a method that it does not know; that call had no effect.
        """

    async def capture(self, reference: str) -> Standing:
        """Take what is kept. Anything but `Captured` and `TimedOut` means that there was nothing to take."""

    async def void(self, reference: str) -> Standing:
        """Give back what is kept; before an authorisation, see to it that it will be refused."""

    async def find(self, reference: str) -> Standing:
        """Say where a reference stands, and change nothing."""


def standing(reference: str, booking: Booking) -> Standing:
    """Say what the sandbox's book says."""
    match booking.status:
        case BookingStatus.NONE:
            return NotBooked()
        case BookingStatus.AUTHORISED:
            return Authorised(reference)
        case BookingStatus.DECLINED:
            return Declined(booking.reason)
        case BookingStatus.CAPTURED:
            return Captured()
        case BookingStatus.VOIDED:
            return Voided()
        case _:
            assert_never(booking.status)


def authorise_answers(found: Standing, method: Method, *, first: bool) -> tuple[Standing, ...]:
    """Return how the sandbox answers an authorisation that led to `found`; `first` when this call booked it."""
    match method:
        case Method.TIMEOUT if first:
            return (TimedOut(),)
        case Method.DUPLICATE:
            return (found, found)
        case _:
            return (found,)


class MemoryProvider:
    """The sandbox with its book in memory. `faults` befall the next calls, in order: `lost` never arrives,
    `unanswered` has its effect and no answer; None is a call that goes well.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.book: dict[str, Booking] = {}
        self.faults: deque[str | None] = deque()

    async def authorise(self, reference: str, amount: Money, method: str) -> tuple[Standing, ...]:
        """Keep an amount, by the sandbox's method names. Raises `Rejected`."""
        known = rules.known_method(method)
        first = reference not in self.book
        found = self._call(reference, rules.Authorise(amount, known))
        return authorise_answers(found, known, first=first)

    async def capture(self, reference: str) -> Standing:
        """Take what is kept."""
        return self._call(reference, rules.Capture())

    async def void(self, reference: str) -> Standing:
        """Give back what is kept, or leave a tombstone."""
        return self._call(reference, rules.Void())

    async def find(self, reference: str) -> Standing:
        """Say where a reference stands."""
        if self.faults and self.faults.popleft():
            return TimedOut()
        return standing(reference, self.book.get(reference, Booking()))

    def _call(self, reference: str, command: rules.Command) -> Standing:
        fault = self.faults.popleft() if self.faults else None
        if fault == "lost":
            return TimedOut()
        booking = self.book.get(reference, Booking())
        for event in rules.decide(booking, command, self._clock.now()):
            booking = self.book[reference] = rules.evolve(booking, event)
        return TimedOut() if fault == "unanswered" else standing(reference, booking)
