"""Delivers to one endpoint: what the log tells its merchant, in parallel but within bounds, and again what failed.

An endpoint waits for itself alone. What it cannot take now stays in the log, behind its cursor; what failed is a
letter (`server.webhooks.letters`). While too much fails in a row, nothing but the oldest letter is tried.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import msgspec
import structlog

from cells.engine.handle import handle, load
from cells.engine.project import Recorded, StoreUnavailable
from cells.kernel import envelope
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.kernel.ids import slot_in
from cells.log import subjects
from cells.log.port import Log, LogUnavailable, Stored
from cells.tasks import end
from server.flash_sale import model as flash_sale
from server.notify import backoff
from server.notify.addresses import Forbidden
from server.notify.cursor import SAVE_SECONDS, Cursor
from server.notify.egress import Egress, Reply, Unreachable
from server.notify.touched import Touched
from server.notify.window import Window
from server.payments import model as payments
from server.webhooks import decide, letters
from server.webhooks.facts import Facts
from server.webhooks.letters import Box, Failed, Letter, Revive, Taken
from server.webhooks.model import Endpoint, Pause, Remove
from server.webhooks.signing import Secrets
from server.webhooks.told import KINDS, Known, Told, told

_log = structlog.get_logger(__name__)

AT_ONCE = 8
LOOK_SECONDS = 30.0
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
PIECE_BYTES = 256 * 1024
GONE = 410

_REGISTRIES = {flash_sale.KIND: flash_sale.EVENTS, payments.KIND: payments.EVENTS}


class Delivering(msgspec.Struct, frozen=True):
    """What all endpoints of a cell share.

    `slots` bounds the requests that are under way in all, `reads` the pieces of the log that are being read.
    """

    log: Log
    egress: Egress
    secrets: Secrets
    facts: Facts
    touched: Touched
    clock: Clock
    slots: asyncio.Semaphore
    reads: asyncio.Semaphore
    chance: Callable[[], float] = random.random
    first_delay_ms: int = letters.FIRST_DELAY_MS
    longest_delay_ms: int = letters.LONGEST_DELAY_MS
    save_seconds: float = SAVE_SECONDS


class _Outcome(msgspec.Struct, frozen=True):
    """How a try ended. `status` 0: no answer, because of `why`."""

    status: int
    why: str = ""
    retry_after_ms: int = 0

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class Runner:
    """One endpoint's deliveries. `endpoint` is replaced when it changes; `changed` is set then."""

    def __init__(self, shared: Delivering, merchant_id: str, endpoint: Endpoint, since: int) -> None:
        self.endpoint = endpoint
        self._shared = shared
        self.merchant_id = merchant_id
        self.slot = slot_in(merchant_id)
        self._since = since
        self._box = Box()
        self._changed = asyncio.Event()
        self._recording = asyncio.Lock()
        self._over = asyncio.Event()
        self.confident = asyncio.Event()

    def change(self, endpoint: Endpoint) -> None:
        """Take over what became of the endpoint."""
        self.endpoint = endpoint
        self._changed.set()

    async def run(self) -> None:
        """Deliver until cancelled, or until this found the endpoint to be gone or hopeless.

        What the log or the database refuses is tried again; nothing is skipped.
        """
        pause = RETRY_SECONDS
        while not self._over.is_set():
            started = asyncio.get_running_loop().time()
            try:
                await self._run()
            except (LogUnavailable, StoreUnavailable, Rejected) as error:
                _log.warning("webhook waits", endpoint=self.endpoint.id, reason=str(error))
            except Exception:  # noqa: BLE001 - a fault of one endpoint's deliveries must not end the others'; it is reported
                _log.exception("webhook is stuck", endpoint=self.endpoint.id)
            if self._over.is_set():
                return
            calm = asyncio.get_running_loop().time() - started > LONGEST_RETRY_SECONDS
            pause = RETRY_SECONDS if calm else min(LONGEST_RETRY_SECONDS, pause * 2)
            await asyncio.sleep(pause)

    async def _run(self) -> None:
        shared, endpoint = self._shared, self.endpoint
        self._take(await self._load())
        cursor = Cursor(shared.log, self.slot, endpoint.id, shared.clock, save_seconds=shared.save_seconds)
        place = await cursor.load(self._since)
        window = Window(place.position)
        reading = _Reading(self, shared, cursor, window, frozenset(place.beyond))
        running: list[asyncio.Task[object]] = [
            asyncio.create_task(self._retry()),
            asyncio.create_task(reading.run()),
            asyncio.create_task(self._over.wait()),
        ]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(running)
            await cursor.save(window)

    async def _load(self) -> Box:
        return (await load(self._shared.log, letters.DECIDER, self.slot, self.endpoint.id)).state

    def _take(self, box: Box) -> None:
        self._box = box
        if box.doubtful:
            self.confident.clear()
        else:
            self.confident.set()
        self._changed.set()

    # --- new events ---------------------------------------------------------------------------------------------

    async def first(self, event: Told) -> None:
        """Try an event for the first time. Afterwards it is taken, or a letter."""
        if event.id in self._box.letters:
            return
        outcome = await self._send(event.id, event.type, event.body)
        if not outcome.taken or self._box.failures:
            await self._record(event.id, event.type, event.body, outcome, 1)

    # --- letters ------------------------------------------------------------------------------------------------

    async def _retry(self) -> None:
        while True:
            self._changed.clear()
            await self._revive()
            due = self._box.due(self._shared.clock.now())
            for letter in due:
                outcome = await self._send(letter.event_id, letter.type, letter.body)
                await self._record(letter.event_id, letter.type, letter.body, outcome, letter.tries + 1)
                if self._box.doubtful:
                    break
            if not due:
                await self._until_due()

    async def _revive(self) -> None:
        asked = tuple(
            letter.event_id
            for letter in self._box.letters.values()
            if letter.dead and self.endpoint.asked_at(letter.event_id) > letter.tried_at
        )
        if asked:
            await self._apply(Revive(asked))

    async def _until_due(self) -> None:
        next_at = self._box.next_at()
        wait = LOOK_SECONDS if next_at is None else (next_at - self._shared.clock.now()) / 1000
        try:
            async with asyncio.timeout(max(0.0, min(wait, LOOK_SECONDS))):
                await self._changed.wait()
        except TimeoutError:
            pass

    # --- one try ------------------------------------------------------------------------------------------------

    async def _send(self, event_id: str, type_: str, body: bytes) -> _Outcome:
        shared = self._shared
        async with shared.slots:
            now = shared.clock.now()
            timestamp = now // 1000
            headers = {
                "Content-Type": "application/json",
                "Titan-Event-Id": event_id,
                "Titan-Event-Type": type_,
                "Titan-Webhook-Id": self.endpoint.id,
                "Titan-Timestamp": str(timestamp),
                "Titan-Signature": shared.secrets.sign(
                    self.endpoint.id, self.endpoint.generations(now), timestamp, body
                ),
            }
            try:
                reply = await shared.egress.post(self.endpoint.url, headers, body)
            except (Forbidden, Unreachable) as error:
                return _Outcome(0, str(error))
        return _outcome(reply)

    async def _record(self, event_id: str, type_: str, body: bytes, outcome: _Outcome, tries: int) -> None:
        if outcome.taken:
            await self._apply(Taken(event_id))
            return
        if outcome.status == GONE:
            await self._decide(Remove(self.endpoint.id, "gone"))
            return
        shared = self._shared
        delay = backoff.delay_ms(tries, shared.first_delay_ms, shared.longest_delay_ms, shared.chance())
        delay = max(delay, outcome.retry_after_ms)
        await self._apply(Failed(event_id, type_, body, outcome.status, outcome.why, delay))
        letter = self._box.letters.get(event_id)
        if letter is not None and letter.dead:
            await self._died(letter)

    async def _died(self, letter: Letter) -> None:
        _log.warning(
            "webhook delivery is dead", endpoint=self.endpoint.id, delivery=letter.event_id, why=letter.why
        )
        if self._box.hopeless:
            why = f"{self._box.failures} deliveries failed in a row"
            await self._decide(Pause(self.endpoint.id, why))

    async def _apply(self, command: letters.Command) -> None:
        async with self._recording:
            shared = self._shared
            handled = await handle(
                shared.log, letters.DECIDER, self.slot, self.endpoint.id, command, shared.clock
            )
            self._take(handled.state)

    async def _decide(self, command: Pause | Remove) -> None:
        """Change the endpoint itself, which ends this runner."""
        shared = self._shared
        await handle(shared.log, decide.DECIDER, self.slot, self.merchant_id, command, shared.clock)
        _log.warning(
            "webhook ended", endpoint=self.endpoint.id, how=type(command).__name__, why=command.reason
        )
        self._over.set()


class _Reading:
    """Reads the log of the merchant's slot from the cursor on, behind the projections, and has it delivered.

    It holds one piece of the log and `AT_ONCE` deliveries; what lies behind them waits in the log.
    """

    def __init__(
        self, runner: Runner, shared: Delivering, cursor: Cursor, window: Window, done: frozenset[int]
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


def _outcome(reply: Reply) -> _Outcome:
    return _Outcome(reply.status, "", backoff.retry_after_ms(reply.headers.get("retry-after")))
