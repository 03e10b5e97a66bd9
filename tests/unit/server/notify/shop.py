"""A shop in memory whose merchant has webhooks: the log, what is in it, and the worker that tells of it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence

import msgspec

from cells.engine.handle import handle, load
from cells.engine.project import Recorded
from cells.kernel import envelope, ids
from cells.kernel.clock import SystemClock
from cells.kernel.money import Money
from cells.log import subjects
from cells.log.memory import MemoryLog
from cells.log.port import Appended
from cells.tasks import end
from server.flash_sale import model as flash_sale
from server.notify.egress import Egress
from server.notify.touched import Touched
from server.webhooks import decide, letters
from server.webhooks.delivering import Delivering
from server.webhooks.model import Add, Command, Merchant
from server.webhooks.signing import Secrets
from server.webhooks.told import Known, KnownHold, KnownSale
from server.webhooks.worker import Worker

SLOT = 7
EUR = Money(1000, "EUR")
CLOCK = SystemClock()


def new_id(prefix: str) -> str:
    return ids.new_id(prefix, SLOT, CLOCK.now(), os.urandom(ids.ENTROPY_BYTES))


async def no_names(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


class Shop:
    """One merchant with one sale. Every hold is of one unit."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.touched = Touched()
        self.merchant = new_id("mer")
        self.sale = new_id("sal")
        self.secrets = Secrets(b"k" * 32)
        self.holds: dict[str, KnownHold] = {}
        self._version, self._position, self._prev = 0, 0, envelope.GENESIS

    async def facts(self, _batch: Sequence[Recorded]) -> Known:
        sale = KnownSale(self.merchant, new_id("prd"), "Drop", EUR)
        return Known({self.sale: sale}, self.holds)

    def delivering(self, **how) -> Delivering:
        standard = {
            "log": self.log,
            "egress": Egress(no_names, allow_loopback=True, deadline_seconds=2.0),
            "secrets": self.secrets,
            "facts": self.facts,
            "touched": self.touched,
            "clock": CLOCK,
            "slots": asyncio.Semaphore(256),
            "reads": asyncio.Semaphore(4),
            "chance": lambda: 0.999,
            "first_delay_ms": 20,
            "save_seconds": 0.05,
        }
        return Delivering(**{**standard, **how})

    async def do(self, command: Command) -> Merchant:
        done = await handle(self.log, decide.DECIDER, SLOT, self.merchant, command, CLOCK)
        self.touched.reach(done.position)
        return done.state

    async def add(self, url: str, *types: str) -> str:
        endpoint_id = new_id("whk")
        await self.do(Add(endpoint_id, url, types or ("hold.granted",), ""))
        return endpoint_id

    async def commit(self, *events: msgspec.Struct) -> None:
        self._version += 1
        body = envelope.encode(flash_sale.EVENTS, self._version, CLOCK.now(), self._prev, events)
        subject = subjects.subject(SLOT, flash_sale.KIND, self.sale)
        outcome = await self.log.append(subject, body, self._position)
        assert isinstance(outcome, Appended)
        self._position, self._prev = outcome.position, envelope.digest(body)
        self.touched.reach(outcome.position)

    def hold(self) -> flash_sale.UnitsHeld:
        hold_id, buyer, now = new_id("hld"), new_id("usr"), CLOCK.now()
        self.holds[hold_id] = KnownHold(self.sale, buyer, (1,))
        return flash_sale.UnitsHeld(hold_id, buyer, (1,), b"", now + 1000, now)

    async def granted(self, count: int = 1, per_commit: int = 1) -> list[str]:
        """Grant holds, and return their ids."""
        found = []
        for _ in range(0, count, per_commit):
            held = [self.hold() for _ in range(per_commit)]
            await self.commit(*held)
            found += [h.hold_id for h in held]
        return found

    async def box(self, endpoint_id: str) -> letters.Box:
        return (await load(self.log, letters.DECIDER, SLOT, endpoint_id)).state

    async def endpoints(self) -> Merchant:
        return (await load(self.log, decide.DECIDER, SLOT, self.merchant)).state

    async def until(self, ready, seconds: float = 10) -> None:
        """Wait for something of the log, looking whenever it grows."""
        async with asyncio.timeout(seconds):
            if await ready():
                return
            async for _ in self.log.tail("log.>", 0):
                if await ready():
                    return

    @contextlib.asynccontextmanager
    async def working(self, **how) -> AsyncIterator[None]:
        running = asyncio.create_task(Worker(self.log, self.delivering(**how)).run())
        try:
            yield
        finally:
            await end([running])
