"""The sales' writer in memory: the same rules over any log, without a process of its own."""

import asyncio

from cells.engine.hot import Changed
from cells.engine.writer import Writer
from cells.kernel.clock import Clock
from cells.kernel.ids import slot_in
from cells.log.port import Log
from server.flash_sale.model import Answer, Command, Sale
from server.flash_sale.ports import DEADLINE_MS
from server.flash_sale.rules import SaleRules


class Unwatched:
    """A watcher that nobody looks through."""

    def loaded(self, change: Changed) -> None:
        """Do nothing."""

    def changed(self, change: Changed) -> None:
        """Do nothing."""

    def unloaded(self, key: str) -> None:
        """Do nothing."""


class MemorySales:
    """`Sales` with the writer in the same process."""

    def __init__(self, log: Log, clock: Clock, term: int = 1) -> None:
        self._clock = clock
        self.writer: Writer[Sale, Command] = Writer(
            log, SaleRules(), clock, Unwatched(), term=term, name="memory"
        )

    async def ask(self, command: Command, deadline_ms: int = DEADLINE_MS) -> Answer:
        """Submit the command and wait for its answer."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        slot = slot_in(command.sale_id)
        self.writer.submit(
            slot, command.sale_id, command, self._clock.now() + deadline_ms, answered.set_result
        )
        return await answered
