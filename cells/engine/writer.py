"""The writer: keeps hot aggregates in memory, decides their commands one after the other, commits them in groups.

Per aggregate one append is in flight; what arrives meanwhile goes into the next. Events are applied as they are
decided, and answered only when their commit is durable; when a commit fails or a rule does, the memory is dropped and
read again from the log. A refusal that rests on events still in flight waits for them like everything else.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Generic, TypeVar, assert_never

import msgspec
import structlog

from cells.engine.commit import commit
from cells.engine.hot import Changed, HotRules, Watcher
from cells.kernel import envelope
from cells.kernel.clock import Clock
from cells.log import subjects
from cells.log.chain import Broken, Chain
from cells.log.port import Appended, Conflict, Log, LogUnavailable, Outcome, Refused, Unknown
from cells.telemetry.instruments import Metrics

_log = structlog.get_logger(__name__)

S = TypeVar("S")
C = TypeVar("C")

COMMIT_COMMANDS = 512
COMMIT_BYTES = 64 << 10
QUEUE_COMMANDS = 20_000
TICK_SECONDS = 0.05
KEPT_IDLE = 256

Done = Callable[[Any], None]


class Superseded(Exception):  # noqa: N818 - a state, not a fault
    """Another writer took over; this one must not decide anything more."""


class _Pending(msgspec.Struct):
    command: Any
    deadline: int
    done: Done


class Owned(msgspec.Struct, Generic[S]):
    """An aggregate in memory. `positions[v - 1]` is where its commit v lies."""

    key: str
    subject: str
    state: S
    chain: Chain
    positions: list[int]
    last_at: int = 0
    queue: deque[_Pending] = msgspec.field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class _Batch(msgspec.Struct):
    now: int
    events: list[Any] = msgspec.field(default_factory=list)
    encoded: list[msgspec.Raw] = msgspec.field(default_factory=list)
    size: int = 0
    replies: list[tuple[Done, Any]] = msgspec.field(default_factory=list)


class Writer(Generic[S, C]):
    """The single owner of a kind of hot aggregates. `on_superseded` is called once, when it finds it is not.

    Of the idle ones the `kept` most recently used stay in memory.
    """

    def __init__(
        self,
        log: Log,
        rules: HotRules[S, C],
        clock: Clock,
        watcher: Watcher,
        *,
        term: int,
        name: str,
        on_superseded: Callable[[], None] = lambda: None,
        kept: int = KEPT_IDLE,
        metrics: Metrics | None = None,
    ) -> None:
        self._log = log
        self._rules = rules
        self._clock = clock
        self._watcher = watcher
        self._term = term
        self._name = name
        self._on_superseded = on_superseded
        self._kept = kept
        metrics = metrics or Metrics()
        self._append_seconds = metrics.histogram("titan_append_seconds")
        self._commit_events = metrics.histogram("titan_commit_events")
        self._owned: dict[str, Owned[S]] = {}
        self._loading: dict[str, asyncio.Task[Owned[S]]] = {}
        self._queued = 0
        self._stopped = False

    # --- commands ------------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """How many commands wait to be decided."""
        return self._queued

    def submit(self, slot: int, key: str, command: C, deadline: int, done: Done) -> None:
        """Queue a command; `done` gets its answer exactly once. A full queue refuses with `overloaded`."""
        if self._stopped:
            done(self._rules.refuse("unavailable", "this writer has stepped down"))
            return
        if self._log.fenced:
            done(self._rules.refuse("fenced", self._log.fenced))
            return
        if self._queued >= QUEUE_COMMANDS:
            done(self._rules.refuse("overloaded", f"{self._queued} commands are waiting"))
            return
        self._queued += 1
        pending = _Pending(command, deadline, done)
        owned = self._owned.get(key)
        if owned is not None:
            owned.queue.append(pending)
            self._wake(owned)
        else:
            task = asyncio.create_task(self._load_for(slot, key, pending))
            task.add_done_callback(_report)

    def find(self, slot: int, holds: Callable[[S], bool]) -> str | None:
        """Return the key of the first aggregate of a slot in memory whose state satisfies a predicate."""
        prefix = subjects.subject(slot, self._rules.kind, "")
        return next(
            (o.key for o in self._owned.values() if o.subject.startswith(prefix) and holds(o.state)), None
        )

    async def _load_for(self, slot: int, key: str, pending: _Pending) -> None:
        try:
            owned = await self.own(slot, key)
            # It may have been dropped since: two memories of one aggregate would supersede each other.
            while self._owned.get(key) is not owned and not self._stopped:
                owned = await self.own(slot, key)
        except (LogUnavailable, Broken, Superseded) as error:
            self._queued -= 1
            pending.done(self._rules.refuse("unavailable", str(error)))
            return
        owned.queue.append(pending)
        self._wake(owned)

    # --- memory --------------------------------------------------------------------------------------------

    async def own(self, slot: int, key: str) -> Owned[S]:
        """Read an aggregate from the log and fence every earlier writer of it. Single-flight per aggregate.

        Raises `LogUnavailable`, `Broken` on an altered chain, `Superseded`.
        """
        owned = self._owned.get(key)
        if owned is not None:
            return owned
        loading = self._loading.get(key)
        if loading is None:
            loading = asyncio.create_task(self._load(slot, key))
            self._loading[key] = loading
            loading.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(loading)

    async def _load(self, slot: int, key: str) -> Owned[S]:
        positions: list[int] = []
        state = self._rules.initial(positions)
        owned = Owned(key, subjects.subject(slot, self._rules.kind, key), state, Chain(), positions)
        await self._fold(owned)
        if owned.chain.version and not self._rules.idle(owned.state):
            await self._take_over(owned)
        self._owned[key] = owned
        if owned.chain.version:
            self._watcher.loaded(Changed(key, owned.state, owned.chain.version, owned.chain.position, []))
        self._unload_idle(owned)
        return owned

    async def _fold(self, owned: Owned[S]) -> None:
        """Read on until there is nothing more, and the leader of the stream has nothing more either."""
        registry, evolve = self._rules.registry, self._rules.evolve
        while True:
            async for batch in self._log.read(owned.subject, after=owned.chain.position):
                for stored in batch:
                    owned.chain.follow(stored)
                    owned.positions.append(stored.position)
                    decoded = envelope.decode(registry, stored.body)
                    owned.last_at = decoded.at
                    for event in decoded.events:
                        evolve(owned.state, event, decoded.version)
                await asyncio.sleep(0)
            newest = await self._log.last(owned.subject)
            if newest is None or newest.position <= owned.chain.position:
                return

    async def _take_over(self, owned: Owned[S]) -> None:
        batch = self._new_batch(owned)
        self._apply(owned, batch, [self._rules.taken_over(self._term, self._name)])
        match await self._commit(owned, batch):
            case Appended():
                return
            case Conflict():
                self._step_down(f"another writer appended to {owned.key}")
                raise Superseded(owned.key)
            case Refused(reason) | Unknown(reason):
                msg = f"{owned.key} could not be taken over: {reason}"
                raise LogUnavailable(msg)

    def _unload_idle(self, newest: Owned[S]) -> None:
        if len(self._owned) <= self._kept:
            return
        for owned in list(self._owned.values()):
            busy = owned.queue or owned.task is not None or owned is newest
            if not busy and self._rules.idle(owned.state):
                del self._owned[owned.key]
                self._watcher.unloaded(owned.key)
                if len(self._owned) <= self._kept:
                    return

    # --- deciding and committing ---------------------------------------------------------------------------

    def _wake(self, owned: Owned[S]) -> None:
        if owned.task is None:
            owned.task = asyncio.create_task(self._drain(owned))
            owned.task.add_done_callback(_report)

    async def _drain(self, owned: Owned[S]) -> None:
        if self._owned.get(owned.key) is owned:
            self._owned[owned.key] = self._owned.pop(owned.key)  # behind those used less recently
        await asyncio.sleep(0)  # lets the rest of this turn's commands join the first commit
        try:
            while not self._stopped and await self._step(owned):
                pass
        finally:
            owned.task = None
            if self._stopped:
                self._refuse_queued(owned, "this writer has stepped down")
            if not owned.chain.version and self._owned.get(owned.key) is owned:
                del self._owned[owned.key]

    async def _step(self, owned: Owned[S]) -> bool:
        """Decide, commit and answer what waits; False when nothing did, or when the memory had to be dropped."""
        batch = self._new_batch(owned)
        try:
            self._decide(owned, batch)
            outcome = await self._commit(owned, batch) if batch.events else None
        except Exception:
            # What was applied may not be in the log: a retry must not find it in memory and be told that it is.
            self._drop(owned, batch, "outcome_unknown", "the writer failed")
            raise
        if isinstance(outcome, Appended):
            state, chain = owned.state, owned.chain
            self._watcher.changed(Changed(owned.key, state, chain.version, chain.position, batch.events))
        elif outcome is not None:
            self._give_up(owned, batch, outcome)
            return False
        answer, version = self._rules.answer, owned.chain.version
        for done, reply in batch.replies:
            done(answer(owned.state, reply, version, owned.positions))
        return bool(batch.events or batch.replies)

    def _new_batch(self, owned: Owned[S]) -> _Batch:
        return _Batch(max(self._clock.now(), owned.last_at))

    def _decide(self, owned: Owned[S], batch: _Batch) -> None:
        self._apply(owned, batch, self._rules.tick(owned.state, batch.now))
        queue = owned.queue
        while queue and len(batch.replies) < COMMIT_COMMANDS and batch.size < COMMIT_BYTES:
            pending = queue.popleft()
            self._queued -= 1
            if pending.deadline < batch.now:
                pending.done(self._rules.refuse("unavailable", "not decided in time"))
                continue
            try:
                events, reply = self._rules.decide(owned.state, pending.command, batch.now)
                if events:
                    self._apply(owned, batch, events)
            except Exception:
                pending.done(self._rules.refuse("internal", "the command could not be decided"))
                raise
            batch.replies.append((pending.done, reply))

    def _apply(self, owned: Owned[S], batch: _Batch, events: Sequence[Any]) -> None:
        version = owned.chain.version + 1
        for event in events:
            self._rules.evolve(owned.state, event, version)
            encoded = envelope.encode_event(self._rules.registry, event)
            batch.events.append(event)
            batch.encoded.append(encoded)
            batch.size += len(memoryview(encoded))

    async def _commit(self, owned: Owned[S], batch: _Batch) -> Outcome:
        body = envelope.assemble(owned.chain.version + 1, batch.now, owned.chain.hash, batch.encoded)
        began = perf_counter()
        outcome = await commit(self._log, owned.subject, body, owned.chain.position, None)
        if isinstance(outcome, Appended):
            self._append_seconds.observe(perf_counter() - began)
            self._commit_events.observe(len(batch.events))
            owned.chain.advance(outcome.position, body)
            owned.positions.append(outcome.position)
            owned.last_at = batch.now
        return outcome

    def _give_up(self, owned: Owned[S], batch: _Batch, outcome: Conflict | Refused | Unknown) -> None:
        """Drop a memory that is ahead of the log, and say no; the next command reads it again."""
        match outcome:
            case Conflict():
                code, detail = "unavailable", "another writer took over"
                self._step_down(f"another writer appended to {owned.key}")
            case Refused(reason, fenced):
                code, detail = "fenced" if fenced else "unavailable", reason
            case Unknown(reason):
                code, detail = "outcome_unknown", reason
            case _:
                assert_never(outcome)
        _log.error("commit failed", aggregate=owned.key, code=code, reason=detail)
        self._drop(owned, batch, code, detail)

    def _drop(self, owned: Owned[S], batch: _Batch, code: str, detail: str) -> None:
        self._owned.pop(owned.key, None)
        self._watcher.unloaded(owned.key)
        for done, _ in batch.replies:
            done(self._rules.refuse(code, detail))
        self._refuse_queued(owned, detail)

    def _refuse_queued(self, owned: Owned[S], detail: str) -> None:
        while owned.queue:
            self._queued -= 1
            owned.queue.popleft().done(self._rules.refuse("unavailable", detail))

    def _step_down(self, reason: str) -> None:
        if not self._stopped:
            self._stopped = True
            _log.warning("superseded", reason=reason)
            self._on_superseded()

    # --- the clock and the end -----------------------------------------------------------------------------

    async def run_clock(self) -> None:
        """Bring about what is due, every 50 ms, until cancelled."""
        while not self._stopped:
            await asyncio.sleep(TICK_SECONDS)
            now = self._clock.now()
            for owned in list(self._owned.values()):
                due = self._rules.due(owned.state)
                if due is not None and due <= now:
                    self._wake(owned)

    async def stop(self) -> None:
        """Take nothing more, finish what is in flight, refuse the rest."""
        self._stopped = True
        running = [o.task for o in self._owned.values() if o.task is not None]
        if running:
            await asyncio.wait(running, timeout=2.0)
        for owned in self._owned.values():
            self._refuse_queued(owned, "the writer is stopping")


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("the writer failed", exc_info=task.exception())
