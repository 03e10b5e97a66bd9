"""Reads the log for one endpoint: what it tells the endpoint's merchant, piece by piece, within bounds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Protocol

from cells.engine.project import Recorded
from cells.kernel import envelope
from cells.log import subjects
from cells.log.port import Stored
from cells.tasks import end
from server.flash_sale import model as flash_sale
from server.notify.cursor import Cursor
from server.notify.window import Window
from server.payments import model as payments
from server.webhooks.delivering import Delivering
from server.webhooks.model import Endpoint
from server.webhooks.told import KINDS, Known, Told, told

AT_ONCE = 8
LOOK_SECONDS = 30.0
PIECE_BYTES = 256 * 1024

_REGISTRIES = {flash_sale.KIND: flash_sale.EVENTS, payments.KIND: payments.EVENTS}


class Runs(Protocol):
    """The endpoint that is read for. `confident` is set unless it seems to be away."""

    merchant_id: str
    slot: int
    endpoint: Endpoint
    confident: asyncio.Event

    async def first(self, event: Told) -> None:
        """Try an event for the first time."""


class Reading:
    """Reads the log of the merchant's slot from the cursor on, behind the projections, and has it delivered.

    It holds one piece of the log and `AT_ONCE` deliveries; what lies behind them waits in the log.
    """

    def __init__(
        self, runner: Runs, shared: Delivering, cursor: Cursor, window: Window, done: frozenset[int]
    ) -> None:
        self._runner = runner
        self._shared = shared
        self._cursor = cursor
        self._window = window
        self._done = done
        self._position = window.reached
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Read and deliver until cancelled. Raises what a delivery raises."""
        wake = self._shared.touched.join(*((self._runner.slot, kind) for kind in KINDS))
        try:
            while True:
                wake.clear()
                piece = await self._read()
                if piece:
                    await self._deliver(piece)
                else:
                    await self._until(wake.wait, LOOK_SECONDS)
        finally:
            self._shared.touched.leave(wake)
            await end(self._tasks)
            self._failed.cancel()

    async def _read(self) -> list[Stored]:
        piece: list[Stored] = []
        size = 0
        async with self._shared.reads:
            reading = self._shared.log.read(f"log.{self._runner.slot:03x}.>", self._position)
            async with contextlib.aclosing(_closable(reading)) as batches:
                async for batch in batches:
                    for stored in batch:
                        if stored.position > self._shared.touched.position or size >= PIECE_BYTES:
                            break
                        piece.append(stored)
                        size += len(stored.body)
                    break
        return piece

    async def _deliver(self, piece: Sequence[Stored]) -> None:
        commits = [_recorded(stored) for stored in piece]
        known = await self._shared.facts([commit for commit in commits if commit is not None])
        for stored, commit in zip(piece, commits, strict=True):
            mine = self._mine(commit, known) if commit and stored.position not in self._done else []
            self._window.enter(stored.position, len(mine))
            self._position = stored.position
            for event in mine:
                await self._until(self._permitted)
                task = asyncio.create_task(self._first(stored.position, event))
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def _mine(self, commit: Recorded, known: Known) -> list[Told]:
        merchant_id, types = self._runner.merchant_id, self._runner.endpoint.types
        return [e for e in told(commit, known) if e.merchant_id == merchant_id and e.type in types]

    async def _permitted(self) -> bool:
        """Take one of the places for deliveries, once the endpoint is not in doubt."""
        while True:
            await self._runner.confident.wait()
            await self._at_once.acquire()
            if self._runner.confident.is_set():
                return True
            self._at_once.release()

    async def _first(self, position: int, event: Told) -> None:
        try:
            await self._runner.first(event)
        finally:
            self._at_once.release()
        self._window.done(position)
        self._cursor.worked()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _until(
        self, wait: Callable[[], Coroutine[Any, Any, bool]], seconds: float | None = None
    ) -> None:
        """Wait, but not longer than a delivery fails, and save the cursor meanwhile whenever that is due."""
        waiting = asyncio.create_task(wait())
        awaited: list[asyncio.Future[Any]] = [waiting, self._failed]
        left = seconds
        try:
            while not waiting.done() and (left is None or left > 0):
                await asyncio.wait(
                    awaited, timeout=self._shared.save_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if self._failed.done():
                    self._failed.result()
                if self._cursor.due(self._window):
                    await self._cursor.save(self._window)
                left = None if left is None else left - self._shared.save_seconds
        finally:
            await end([waiting])


def _closable(reading: AsyncIterator[list[Stored]]) -> Any:
    # The port promises an async iterator; both adapters are generators, which have to be closed.
    return reading


def _recorded(stored: Stored) -> Recorded | None:
    slot, kind, key = subjects.split(stored.subject)
    registry = _REGISTRIES.get(kind)
    if registry is None:
        return None
    commit = envelope.decode(registry, stored.body)
    return Recorded(
        stored.position, stored.subject, slot, kind, key, commit.version, commit.at, commit.events
    )
