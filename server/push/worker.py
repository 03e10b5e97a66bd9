"""Follows one kind of aggregates and pushes what has to be pushed, when it is due.

The log is the queue: a cursor stands before the oldest push that is not done, and a restart plans again from there.
What it decides again it decides by the log as it is then, so that nothing is pushed that has been seen meanwhile.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Hashable

import msgspec
import structlog

from cells.engine.project import Recorded
from cells.kernel import envelope
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.log import subjects
from cells.log.port import Log, LogUnavailable, Stored
from cells.tasks import end
from server.notify import backoff
from server.notify.cursor import SAVE_SECONDS, Cursor
from server.notify.touched import Touched
from server.notify.window import Window
from server.push.notices import DAY_SECONDS
from server.push.planned import Planned, Source
from server.push.sender import Sender
from server.push.subscribers import Subscribers

_log = structlog.get_logger(__name__)

AT_ONCE = 64
MOST_PLANNED = 10_000
MAX_TRIES = 6
FIRST_DELAY_MS = 2_000
LONGEST_DELAY_MS = 5 * 60_000
LOOK_SECONDS = 5.0
AGAIN_MS = 1_000


class Pushing(msgspec.Struct, frozen=True):
    """What the sources share."""

    log: Log
    subscribers: Subscribers
    sender: Sender
    touched: Touched
    clock: Clock
    chance: Callable[[], float] = random.random
    save_seconds: float = SAVE_SECONDS


class Worker:
    """One source's pushes. Any number of these may run: people are then pushed twice, under the same topic."""

    def __init__(self, shared: Pushing, source: Source) -> None:
        self._shared = shared
        self._source = source
        self._cursor = Cursor(
            shared.log, 0, f"push-{source.kind}", shared.clock, save_seconds=shared.save_seconds
        )
        self._window = Window(0)
        self._done: frozenset[int] = frozenset()
        self._position = 0
        self._plans: dict[Hashable, Planned] = {}
        self._heap: list[tuple[int, int, Planned]] = []
        self._numbered = 0
        self._counts: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Push until cancelled. Raises `LogUnavailable`, `Rejected` and what makes a log unreadable."""
        place = await self._cursor.load(0)
        self._window, self._done = Window(place.position), frozenset(place.beyond)
        self._position = place.position
        running = [asyncio.create_task(self._read()), asyncio.create_task(self._fire())]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end([*running, *self._tasks])
            await self._cursor.save(self._window)

    # --- plans, as sources change them ---------------------------------------------------------------------------

    def find(self, key: Hashable) -> Planned | None:
        """Return the plan under a key."""
        return self._plans.get(key)

    def add(self, planned: Planned) -> None:
        """Add a plan."""
        self._plans[planned.key] = planned
        self._count(planned.positions[-1])
        self._schedule(planned)

    def join(self, planned: Planned, position: int) -> None:
        """Let another commit stand behind a plan as well."""
        planned.positions.append(position)
        self._count(position)

    def cancel(self, planned: Planned) -> None:
        """Drop a plan; its place in the heap is passed over when it comes up."""
        if self._plans.pop(planned.key, None) is not None:
            self._settle(planned)

    def _count(self, position: int) -> None:
        self._counts[position] = self._counts.get(position, 0) + 1

    def _schedule(self, planned: Planned) -> None:
        self._numbered += 1
        heapq.heappush(self._heap, (planned.due, self._numbered, planned))
        self._changed.set()

    def _settle(self, planned: Planned) -> None:
        for position in planned.positions:
            if position in self._counts:
                self._counts[position] -= 1
            else:
                self._window.done(position)
        planned.positions = []
        self._cursor.worked()
        self._changed.set()

    # --- reading ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        shared = self._shared
        wake = shared.touched.join(self._source.kind)
        try:
            while True:
                wake.clear()
                if not await self._skip():
                    async for batch in shared.log.read(subjects.of_kind(self._source.kind), self._position):
                        await shared.subscribers.refresh()
                        for stored in batch:
                            await self._take(stored)
                await self._rest(wake)
        finally:
            shared.touched.leave(wake)

    async def _skip(self) -> bool:
        """Pass over the log while nobody in the cell has a subscription."""
        shared, end_of_read = self._shared, self._shared.touched.position
        await shared.subscribers.refresh()
        if len(shared.subscribers) or self._heap or self._tasks or not end_of_read:
            return False
        if end_of_read > self._position:
            self._position = end_of_read
            self._window.enter(end_of_read, 0)
        return True

    async def _take(self, stored: Stored) -> None:
        while len(self._heap) + len(self._tasks) >= MOST_PLANNED or len(self._window) >= MOST_PLANNED:
            self._changed.clear()
            await self._changed.wait()
        self._position = stored.position
        if stored.position in self._done:
            self._window.enter(stored.position, 0)
            return
        slot, kind, key = subjects.split(stored.subject)
        commit = envelope.decode(self._source.registry, stored.body)
        recorded = Recorded(
            stored.position, stored.subject, slot, kind, key, commit.version, commit.at, commit.events
        )
        self._counts = {stored.position: 0}
        if commit.at < self._shared.clock.now() - DAY_SECONDS * 1000:
            self._window.enter(stored.position, 0)
        else:
            await self._source.take(recorded, self, self._wanted)
            self._window.enter(stored.position, self._counts[stored.position])
        self._counts = {}

    def _wanted(self, account: str) -> bool:
        return bool(self._shared.subscribers.of(account))

    async def _rest(self, wake: asyncio.Event) -> None:
        if self._cursor.due(self._window):
            await self._cursor.save(self._window)
        seconds = min(LOOK_SECONDS, self._shared.save_seconds)
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            pass

    # --- pushing ------------------------------------------------------------------------------------------------

    async def _fire(self) -> None:
        while True:
            self._changed.clear()
            now = self._shared.clock.now()
            while self._heap and self._heap[0][0] <= now and len(self._tasks) < AT_ONCE:
                planned = heapq.heappop(self._heap)[2]
                if planned.positions:
                    self._begin(planned)
            wait = LOOK_SECONDS
            if self._heap and len(self._tasks) < AT_ONCE:
                wait = (self._heap[0][0] - now) / 1000
            try:
                async with asyncio.timeout(max(0.0, wait)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _begin(self, planned: Planned) -> None:
        if self._plans.get(planned.key) is planned:
            del self._plans[planned.key]
        task = asyncio.create_task(self._push(planned))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()

    async def _push(self, planned: Planned) -> None:
        try:
            asked = await self._try(planned)
        except (LogUnavailable, Rejected) as error:
            _log.warning("push waits", reason=str(error))
            self._again(planned, AGAIN_MS)
            return
        except Exception:  # noqa: BLE001 - a fault of one push must not hold up the others; it is reported, and bounded
            _log.exception("push failed", account=planned.account)
            asked = 0
        if planned.left is not None and not planned.left:
            self._settle(planned)
            return
        planned.tries += 1
        if planned.tries >= MAX_TRIES:
            _log.warning("push given up", account=planned.account, tries=planned.tries)
            self._settle(planned)
            return
        delay = backoff.delay_ms(planned.tries, FIRST_DELAY_MS, LONGEST_DELAY_MS, self._shared.chance())
        self._again(planned, max(delay, asked))

    async def _try(self, planned: Planned) -> int:
        """Push to those that are left, note who is left then, and return the delay that is asked for."""
        shared = self._shared
        notice = await self._source.decide(planned)
        if notice is None:
            planned.left = frozenset()
            return 0
        ttl = max(0, DAY_SECONDS - (shared.clock.now() - planned.at) // 1000)
        left, asked = set[str](), 0
        for to in shared.subscribers.of(planned.account):
            if to.at > planned.at or (planned.left is not None and to.id not in planned.left):
                continue
            sent = await shared.sender.send(to, notice, ttl)
            if sent.how == "gone":
                await shared.subscribers.drop(planned.account, to.id, "gone")
            elif sent.how == "again":
                left.add(to.id)
                asked = max(asked, sent.retry_after_ms)
        planned.left = frozenset(left)
        return asked

    def _again(self, planned: Planned, delay_ms: int) -> None:
        planned.due = self._shared.clock.now() + delay_ms
        self._schedule(planned)
