"""Finishes the payments that no api finished: those that nothing has happened to for a while."""

import asyncio
import contextlib
import random
from collections.abc import Sequence

import msgspec
import structlog

from cells.kernel import envelope
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.log import subjects
from cells.log.port import Log, LogUnavailable, Stored
from server.checkout.adapters import Checkout
from server.checkout.saga import UNFINISHED_MS, watch
from server.flash_sale.ports import Sales
from server.payments.model import EVENTS, KIND, Payment
from server.payments.ports import PaymentProvider

_log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
TRY_SECONDS = 10.0
TRIES_AT_ONCE = 16
FIRST_DELAY_MS = 1_000
LONGEST_DELAY_MS = 30_000
REPORT_MS = 60_000


class _Trouble(msgspec.Struct):
    """A payment that could not be finished yet."""

    tries: int = 0
    next_at: int = 0
    reported_at: int = 0


_CALM = _Trouble()


class Recovery:
    """Keeps in memory only what is open. Any number of recoveries and apis may work on one payment at once."""

    def __init__(self, log: Log, checkout: Checkout, clock: Clock) -> None:
        self._cell_log = log
        self._checkout = checkout
        self._clock = clock
        self._position = 0
        self._troubles: dict[str, _Trouble] = {}
        self.unfinished: dict[str, int] = {}
        self.caught_up = asyncio.Event()

    async def follow(self) -> None:
        """Fold the payments of the log, from its beginning and for ever. Sets `caught_up` once at its end."""
        pattern = subjects.of_kind(KIND)
        while not self.caught_up.is_set():
            with contextlib.suppress(LogUnavailable):
                async for batch in self._cell_log.read(pattern, self._position):
                    self.take(batch)
                self.caught_up.set()
            if not self.caught_up.is_set():
                await asyncio.sleep(SWEEP_SECONDS)
        async for batch in self._cell_log.tail(pattern, self._position):
            self.take(batch)

    def take(self, batch: Sequence[Stored]) -> None:
        """Fold what was stored."""
        for stored in batch:
            self._position = stored.position
            _, _, hold_id = subjects.split(stored.subject)
            for event in envelope.decode(EVENTS, stored.body).events:
                watch(self.unfinished, hold_id, event)
            if hold_id not in self.unfinished:
                self._troubles.pop(hold_id, None)

    def due(self, now: int) -> list[str]:
        """Return the holds whose payments are to be finished now, the longest waiting first."""
        found = [
            (since, hold_id)
            for hold_id, since in self.unfinished.items()
            if now - since >= UNFINISHED_MS and now >= self._troubles.get(hold_id, _CALM).next_at
        ]
        return [hold_id for _, hold_id in sorted(found)]

    async def sweep(self) -> None:
        """Try once to finish each payment that is due, a bounded number at a time."""
        slots = asyncio.Semaphore(TRIES_AT_ONCE)

        async def one(hold_id: str) -> None:
            async with slots:
                await self.finish(hold_id)

        await asyncio.gather(*(one(hold_id) for hold_id in self.due(self._clock.now())))

    async def finish(self, hold_id: str) -> None:
        """Try to finish one payment within 10 s; if that fails, it is due again after a growing delay."""
        try:
            async with asyncio.timeout(TRY_SECONDS):
                payment = await self._checkout.payment(hold_id)
                if isinstance(payment, Payment) and payment.is_open:
                    payment, hold = await self._checkout.look(payment)
                    payment, _ = await self._checkout.finish(payment, hold)
                    _log.info("payment finished", hold=hold_id, status=payment.latest.status.value)
        except (Rejected, TimeoutError) as error:
            self._postpone(hold_id, error)
        else:
            if hold_id in self.unfinished:
                # What was done has not come back by the log yet. Until then, not every sweep tries again.
                self._troubles[hold_id] = _Trouble(next_at=self._clock.now() + FIRST_DELAY_MS)

    def _postpone(self, hold_id: str, error: Exception) -> None:
        if hold_id not in self.unfinished:
            return
        now = self._clock.now()
        trouble = self._troubles.setdefault(hold_id, _Trouble())
        trouble.tries += 1
        longest = min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** min(trouble.tries, 10))
        trouble.next_at = now + random.randint(FIRST_DELAY_MS, longest)  # noqa: S311 - jitter
        if now - trouble.reported_at >= REPORT_MS:
            trouble.reported_at = now
            reason = f"{type(error).__name__}: {error}"
            _log.warning("payment not finished yet", hold=hold_id, tries=trouble.tries, reason=reason)


async def run_recovery(
    log: Log, sales: Sales, provider: PaymentProvider, clock: Clock, stopping: asyncio.Event
) -> None:
    """Finish what no api finished, until `stopping`. Raises what makes the log's payments unreadable.

    Remembers nothing: a new start reads the log again. Payments begin to be finished once it has been read.
    """
    recovery = Recovery(log, Checkout(log, sales, provider, clock, origin="recovery"), clock)
    running = [asyncio.create_task(recovery.follow()), asyncio.create_task(_sweep(recovery))]
    running.append(asyncio.create_task(_set(stopping)))
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _sweep(recovery: Recovery) -> None:
    await recovery.caught_up.wait()
    while True:
        await recovery.sweep()
        await asyncio.sleep(SWEEP_SECONDS)


async def _set(event: asyncio.Event) -> None:
    await event.wait()
