"""A shop with one open sale on a log in memory, where holds can be paid for."""

import asyncio
from typing import Any

import msgspec

from cells.kernel import envelope, ids
from cells.kernel.clock import ManualClock
from cells.kernel.money import Money
from cells.log.memory import MemoryLog
from cells.log.port import Log
from server.checkout.adapters import Checkout, Origin, Pause
from server.checkout.confirm import Paid, pay
from server.checkout.recovery import Recovery
from server.flash_sale import model as flash_sale
from server.flash_sale.memory import MemorySales
from server.flash_sale.model import (
    Answer,
    Command,
    DraftSale,
    FindHold,
    Granted,
    HoldConfirmed,
    HoldUnits,
    MoveSale,
    ReleaseHold,
)
from server.flash_sale.ports import DEADLINE_MS, Sales, accepted, hold_of
from server.payments.ports import MemoryProvider, PaymentProvider
from server.payments.rules import Booking

BUYER = ids.new_id("usr", 1, 0, bytes(10))
STRANGER = ids.new_id("usr", 2, 0, bytes(10))
MERCHANT = ids.new_id("mer", 7, 0, bytes(10))
SALE = ids.new_id("sal", 7, 0, bytes(10))
PRODUCT = ids.new_id("prd", 7, 0, bytes(10))
PRICE = Money(1250, "EUR")
HOLD_SECONDS = 30


async def no_pause(_: float) -> None:
    """Let the others go on."""
    await asyncio.sleep(0)


class OneSale:
    """`Sales` of a writer that finds a hold by its id alone, as the cell's does, and may be replaced by another."""

    def __init__(self, log: Log, clock: ManualClock) -> None:
        self._log = log
        self._clock = clock
        self._answering: set[asyncio.Task[Answer]] = set()
        self.term = 0
        self.replace_writer()

    def replace_writer(self) -> None:
        """Let a new writer take over; the old one still runs and does not know."""
        self.term += 1
        self._writer = MemorySales(self._log, self._clock, self.term)

    async def ask(self, command: Command, deadline_ms: int = DEADLINE_MS) -> Answer:
        """Ask the newest writer. It answers even when nobody waits any more, as a writer behind a wire does."""
        asked = self._writer.ask(msgspec.structs.replace(command, sale_id=SALE), deadline_ms)
        answering = asyncio.create_task(asked)
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)
        return await asyncio.shield(answering)


class Till:
    """The world that checkouts run in."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = MemoryLog()
        self.sales = OneSale(self.log, self.clock)
        self.provider = MemoryProvider(self.clock)
        self.holds = 0

    async def open(self) -> None:
        """Open the sale."""
        draft = DraftSale(SALE, MERCHANT, PRODUCT, "Lamp", PRICE, None, 100, 50, HOLD_SECONDS, None, None)
        accepted(await self.sales.ask(draft))
        for step in ("arm", "open"):
            accepted(await self.sales.ask(MoveSale(SALE, step, step, MERCHANT, MERCHANT, "")))

    async def hold(self, quantity: int = 1) -> str:
        """Hold units for the buyer."""
        self.holds += 1
        hold_id = ids.new_id("hld", 7, self.clock.now(), self.holds.to_bytes(10, "big"))
        key = self.holds.to_bytes(16, "big")
        granted = accepted(await self.sales.ask(HoldUnits(SALE, hold_id, BUYER, quantity, key)))
        assert isinstance(granted, Granted)
        return hold_id

    async def found(self, hold_id: str) -> flash_sale.HoldFound:
        """Say where a hold stands."""
        return await hold_of(self.sales, FindHold(SALE, hold_id, ""))

    async def release(self, hold_id: str) -> None:
        """Give a hold's units back."""
        await self.sales.ask(ReleaseHold(SALE, hold_id, BUYER))

    def checkout(
        self,
        origin: Origin = "checkout",
        *,
        log: Log | None = None,
        sales: Sales | None = None,
        provider: PaymentProvider | None = None,
        pause: Pause = no_pause,
    ) -> Checkout:
        """Make a checkout of its own, as another process would."""
        return Checkout(
            log or self.log,
            sales or self.sales,
            provider or self.provider,
            self.clock,
            origin=origin,
            pause=pause,
        )

    async def pay(self, hold_id: str, method: str = "pm_ok", key: bytes = b"k1", buyer: str = BUYER) -> Paid:
        """Confirm a hold."""
        return await pay(self.checkout(), hold_id, buyer, method, key, lambda: None)

    async def recovery(self) -> Recovery:
        """Start a recovery that has read the log."""
        recovery = Recovery(self.log, self.checkout("recovery"), self.clock)
        async for batch in self.log.read("log.*.pay.*"):
            recovery.take(batch)
        return recovery

    async def recover(self) -> None:
        """Run recoveries until there is nothing left to finish."""
        recovery = await self.recovery()
        for _ in range(20):
            if not recovery.unfinished:
                return
            self.clock.advance(6_000)
            await recovery.sweep()
            recovery = await self.recovery()
        raise AssertionError(f"never finished: {sorted(recovery.unfinished)}")

    def bookings(self, hold_id: str) -> list[Booking]:
        """Return what the provider has booked for a hold."""
        return [b for reference, b in self.provider.book.items() if reference.startswith(hold_id)]

    async def confirmations(self) -> dict[str, tuple[int, HoldConfirmed]]:
        """Return the orders of the log: hold id -> position and event."""
        found: dict[str, tuple[int, Any]] = {}
        async for batch in self.log.read("log.*.sale.*"):
            for stored in batch:
                for event in envelope.decode(flash_sale.EVENTS, stored.body).events:
                    if isinstance(event, HoldConfirmed):
                        assert event.hold_id not in found
                        found[event.hold_id] = (stored.position, event)
        return found
