"""The sandbox provider: its book lies in the cell's log, so all processes share it and no crash forgets it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from cells.engine.handle import Handled, handle, load
from cells.kernel import ids
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.kernel.money import Money
from cells.log.port import Log, LogUnavailable
from server.payments import rules
from server.payments.ports import Standing, TimedOut, authorise_answers, standing
from server.payments.rules import BOOK, Booking, Method

_log = structlog.get_logger(__name__)

SLOW_SECONDS = 2.0
TIMEOUT_SECONDS = 0.5
"""How long the caller of `pm_timeout` waits in vain."""

Pause = Callable[[float], Awaitable[None]]


class SandboxProvider:
    """Behaves as the name of the payment method says. References begin with the id of a hold, up to a colon."""

    def __init__(self, log: Log, clock: Clock, pause: Pause = asyncio.sleep) -> None:
        self._cell_log = log
        self._clock = clock
        self._pause = pause

    async def authorise(self, reference: str, amount: Money, method: str) -> tuple[Standing, ...]:
        """Keep an amount. Raises `Rejected` (bad_request) for an unknown method."""
        known = rules.known_method(method)
        if known is Method.SLOW:
            await self._pause(SLOW_SECONDS)
        handled = await self._book(reference, rules.Authorise(amount, known))
        if handled is None:
            return (TimedOut(),)
        answers = authorise_answers(standing(reference, handled.state), known, first=bool(handled.events))
        if answers == (TimedOut(),):
            await self._pause(TIMEOUT_SECONDS)
        return answers

    async def capture(self, reference: str) -> Standing:
        """Take what is kept."""
        return _said(reference, await self._book(reference, rules.Capture()))

    async def void(self, reference: str) -> Standing:
        """Give back what is kept, or leave a tombstone."""
        return _said(reference, await self._book(reference, rules.Void()))

    async def find(self, reference: str) -> Standing:
        """Say where a reference stands."""
        try:
            loaded = await load(self._cell_log, BOOK, _slot(reference), rules.subject_key(reference))
        except LogUnavailable:
            return TimedOut()
        return standing(reference, loaded.state)

    async def _book(self, reference: str, command: rules.Command) -> Handled[Booking] | None:
        key = rules.subject_key(reference)
        try:
            return await handle(self._cell_log, BOOK, _slot(reference), key, command, self._clock)
        except Rejected as rejected:
            # The book's rules never refuse: this is the log, and to the caller a provider that does not answer.
            _log.debug("sandbox provider", reference=reference, code=rejected.code)
            return None


def _slot(reference: str) -> int:
    return ids.slot_in(reference.partition(":")[0])


def _said(reference: str, handled: Handled[Booking] | None) -> Standing:
    return TimedOut() if handled is None else standing(reference, handled.state)
