"""The sale on its real engines against the thirty-line model: nats-server with fsync, Valkey, gate and writer.

Time is the test's, so that holds run out when the model says so; everything else is real. Between any two steps the
writer may be replaced, the gate emptied and nats-server killed.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import precondition, rule
from redis.asyncio import Redis

from cells.engine.hot import Changed
from cells.engine.writer import Writer
from cells.kernel import envelope, ids
from cells.kernel.clock import ManualClock
from cells.log import subjects
from cells.log.jetstream import JetStreamLog
from cells.log.port import LogUnavailable
from cells.tasks import end
from server.flash_sale.audit import Auditor
from server.flash_sale.gate import NO_RATE, Entry, ValkeyGate
from server.flash_sale.gatekeeper import Gatekeeper
from server.flash_sale.intake import Intake
from server.flash_sale.model import EVENTS, Answer, Command, GetSale, HoldUnits, Refusal, Sale
from server.flash_sale.rules import SaleRules
from tests.contracts.nats_server import NatsServer, running_nats
from tests.contracts.valkey_server import running_valkey
from tests.properties.sale_actions import SaleMachine, draft, move

SLOT = 7
NATS_KILLS = 1  # each costs the two seconds after which an unanswered question is given up
T = TypeVar("T")

pytestmark = pytest.mark.timeout(300)


class Heard:
    """The gatekeeper, and the newest version that an api process would have heard of."""

    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper
        self.version = 0

    def loaded(self, change: Changed) -> None:
        self.version = change.version
        self._gatekeeper.loaded(change)

    def changed(self, change: Changed) -> None:
        self.version = change.version
        self._gatekeeper.changed(change)

    def unloaded(self, key: str) -> None:
        self._gatekeeper.unloaded(key)


class Shop:
    """One writer and one api's way to it, in this process."""

    def __init__(self, log: JetStreamLog, clock: ManualClock, valkey: Redis, term: int) -> None:
        self._clock = clock
        self._keeper = Gatekeeper(valkey, "t", term)
        self.heard = Heard(self._keeper)
        rules = SaleRules()
        self._writer: Writer[Sale, Command] = Writer(
            log, rules, clock, self.heard, term=term, name=f"w{term}"
        )
        self._next_id = ""
        self._intake = Intake(ValkeyGate(valkey, "t", NO_RATE), self, lambda _slot: self._next_id)
        self._work = asyncio.create_task(self._keeper.run())

    def enqueue(self, command: Command, answered: asyncio.Future[Answer]) -> None:
        deadline = self._clock.now() + 5_000
        self._writer.submit(SLOT, command.sale_id, command, deadline, answered.set_result)

    async def ask(self, command: Command) -> Answer:
        if isinstance(command, HoldUnits):
            self._next_id = command.hold_id
            entry = Entry(
                command.sale_id, command.buyer_id, command.quantity, command.key, self.heard.version
            )
            return await self._intake.hold(entry, SLOT)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.enqueue(command, answered)
        return await answered

    async def close(self) -> None:
        await self._writer.stop()
        await end([self._work])


class EngineSale(SaleMachine):
    def begin(self) -> str:
        self.loop = asyncio.new_event_loop()
        self.stack = contextlib.AsyncExitStack()
        self.nats_kills = 0
        self.clock, self.term = ManualClock(), 1
        self._await(self._open())
        sale_id = ids.new_id("sal", SLOT, self.clock.now(), bytes(10))
        for command in (draft(sale_id), move(sale_id, "arm", "a"), move(sale_id, "open", "o")):
            assert not isinstance(self._await(self.shop.ask(command)), Refusal)
        return sale_id

    async def _open(self) -> None:
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.nats: NatsServer = await self.stack.enter_async_context(running_nats(folder / "nats"))
        self.valkey = Redis.from_url(self.stack.enter_context(running_valkey()))
        self.stack.push_async_callback(self.valkey.aclose)
        self.log = await JetStreamLog.open(self.nats.url, folder / "marks", "t")
        self.stack.push_async_callback(self.log.close)
        self.shop = Shop(self.log, self.clock, self.valkey, self.term)

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 30))

    def run(self, command: Command) -> Answer:
        for _ in range(200):
            answer = self._await(self.shop.ask(command))
            if not (isinstance(answer, Refusal) and answer.code in ("unavailable", "outcome_unknown")):
                return answer
            self._await(asyncio.sleep(0.05))
        raise AssertionError("the writer never gave a definite answer")

    def hold_id(self, number: int) -> str:
        return ids.new_id("hld", SLOT, self.clock.now(), number.to_bytes(10, "big"))

    def advance(self, milliseconds: int) -> None:
        """Move the clock, and let the writer do what is due, as its own clock would within 50 ms."""
        self.clock.advance(milliseconds)
        self.run(GetSale(self.sale_id))

    def now(self) -> int:
        return self.clock.now()

    def audit(self) -> Auditor:
        return self._await(self._audit())

    async def _audit(self) -> Auditor:
        for _ in range(200):
            auditor = Auditor()
            try:
                async for batch in self.log.read(subjects.subject(SLOT, "sale", self.sale_id)):
                    for stored in batch:
                        commit = envelope.decode(EVENTS, stored.body)
                        auditor.read(commit.events, commit.version, stored.position)
            except LogUnavailable:
                await asyncio.sleep(0.05)
            else:
                return auditor
        raise AssertionError("the log did not come back")

    @rule()
    def the_writer_is_replaced(self) -> None:
        self._await(self._replace())

    async def _replace(self) -> None:
        await self.shop.close()
        self.term += 1
        self.shop = Shop(self.log, self.clock, self.valkey, self.term)
        # A starting writer reads all that may still change, so it hears of the sale.
        await self.shop.ask(move(self.sale_id, "arm", "a"))

    @rule()
    def the_gate_is_emptied(self) -> None:
        self._await(self._flush())

    async def _flush(self) -> None:
        await self.valkey.flushall()

    @precondition(lambda self: self.nats_kills < NATS_KILLS)
    @rule()
    def nats_is_killed(self) -> None:
        self.nats_kills += 1
        self.nats.kill()
        self.nats.start()

    def teardown(self) -> None:
        async def close() -> None:
            await self.shop.close()
            await self.stack.aclose()

        self._await(close())
        self.loop.close()


TestEngineSale = EngineSale.TestCase
TestEngineSale.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
