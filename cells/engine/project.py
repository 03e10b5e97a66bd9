"""Projections: read models that follow the log. One reader feeds them all; rows and checkpoints move together.

The store decides what a transaction is; this module decides what is read, in which order, and what stops it.
Nothing is ever skipped: an unknown event, a hole or a broken chain stops the projector until it is mended.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec
import structlog

from cells.kernel import envelope
from cells.kernel.codec import Registry, UnknownEvent
from cells.log import guard, subjects
from cells.log.chain import Broken, Chain
from cells.log.port import Log, LogUnavailable, Mark, Stored

_log = structlog.get_logger(__name__)

NOWHERE = Mark("", 0, "")
"""The checkpoint of a projection that has read nothing."""

CHAINS = 50_000
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
REST = 1.0

C_contra = TypeVar("C_contra", contravariant=True)
C = TypeVar("C")

Health = Literal["serving", "fenced", "stopped", "waiting"]


class Recorded(msgspec.Struct, frozen=True):
    """A decoded commit and where it lies. `key` is the aggregate's id, `at` is in epoch milliseconds."""

    position: int
    subject: str
    slot: int
    kind: str
    key: str
    version: int
    at: int
    events: list[Any]


class Projection(Protocol[C_contra]):
    """A read model. `apply` writes through the connection it is given and depends on nothing but its arguments
    and the rows that earlier batches led to, so that any batching of the same log gives the same rows.
    """

    @property
    def name(self) -> str:
        """Names its checkpoint."""

    @property
    def registries(self) -> Mapping[str, Registry]:
        """The kinds of aggregates it reads, each with its events."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it alone writes."""

    async def apply(self, connection: C_contra, batch: Sequence[Recorded]) -> None:
        """Write what a batch led to. Commits come in the order of the log, each exactly once."""


class Step(msgspec.Struct, Generic[C], frozen=True):
    """What moves one projection from one checkpoint to the next."""

    projection: Projection[C]
    batch: list[Recorded]
    before: Mark
    after: Mark


class Moved(Exception):  # noqa: N818 - a finding, not a fault
    """A checkpoint is not where this projector left it: another one moved it, or the store lost its last writes."""


class StoreUnavailable(Exception):  # noqa: N818 - a state, not a fault of the caller
    """The store did not take the transaction. Nothing of it was written, or all of it: `places` tells."""


class Store(Protocol[C]):
    """Where projections live."""

    async def places(self, names: Sequence[str]) -> dict[str, Mark]:
        """Return every projection's checkpoint, `NOWHERE` for a new one. Raises `StoreUnavailable`."""

    async def write(self, steps: Sequence[Step[C]]) -> None:
        """Apply all steps and move their checkpoints in one transaction, or do nothing of it.

        Raises `Moved` when a checkpoint is not at `before`, `StoreUnavailable` when the store does not answer.
        """


class Reader:
    """Turns stored messages into decoded commits and proves on the way that none is missing or altered."""

    def __init__(self, registries: Mapping[str, Registry], after: int) -> None:
        self.position = after
        self._registries = registries
        # The newest aggregates only: an older one is taken up again at the commit it is met at.
        self._chains: OrderedDict[str, Chain] = OrderedDict()

    def read(self, batch: Sequence[Stored]) -> list[Recorded]:
        """Decode the commits of known kinds. Raises `Broken` or `UnknownEvent`, naming position and subject."""
        return [recorded for stored in batch if (recorded := self._one(stored)) is not None]

    def _one(self, stored: Stored) -> Recorded | None:
        if stored.position != self.position + 1:
            raise Broken(f"the log goes from {self.position} to {stored.position}; what lay between is gone")
        self._follow(stored)
        self.position = stored.position
        slot, kind, key = subjects.split(stored.subject)
        registry = self._registries.get(kind)
        if registry is None:
            return None
        try:
            commit = envelope.decode(registry, stored.body)
        except UnknownEvent as error:
            raise UnknownEvent(f"{stored.subject} at {stored.position}: {error}") from error
        except msgspec.MsgspecError as error:
            raise Broken(f"{stored.subject} at {stored.position}: not a commit ({error})") from error
        return Recorded(
            stored.position, stored.subject, slot, kind, key, commit.version, commit.at, commit.events
        )

    def _follow(self, stored: Stored) -> None:
        chain = self._chains.pop(stored.subject, None)
        if chain is None:
            chain = Chain()
            header = _header(stored)
            if header.version > 1:
                chain = Chain(header.version - 1, 0, header.prev)
        chain.follow(stored)
        self._chains[stored.subject] = chain
        if len(self._chains) > CHAINS:
            self._chains.popitem(last=False)


def _header(stored: Stored) -> envelope.Header:
    try:
        return envelope.peek(stored.body)
    except msgspec.MsgspecError as error:
        raise Broken(f"{stored.subject} at {stored.position}: not a commit ({error})") from error


def registries_of(projections: Sequence[Projection[Any]]) -> dict[str, Registry]:
    """Return the union of what projections read."""
    return {kind: registry for p in projections for kind, registry in p.registries.items()}


def step(projection: Projection[C], batch: Sequence[Recorded], before: Mark, after: Mark) -> Step[C]:
    """Pick from a batch what one projection reads and has not read yet."""
    wanted = [r for r in batch if r.position > before.position and r.kind in projection.registries]
    return Step(projection, wanted, before, after)


class Projector(Generic[C]):
    """Follows the log for ever and keeps every projection up with it.

    `report` is told on every change of health; `advanced` gets the position that all projections have reached.
    `note` hands a checkpoint that contradicts the log to the log's guard, which fences the cell.
    """

    def __init__(
        self,
        log: Log,
        store: Store[C],
        projections: Sequence[Projection[C]],
        *,
        report: Callable[[Health, str], None],
        advanced: Callable[[int], Awaitable[None]],
        note: Callable[[Mark], Awaitable[None]],
        pace_seconds: float = 0.01,
    ) -> None:
        self._log = log
        self._store = store
        self._projections = tuple(projections)
        self._report = report
        self._advanced = advanced
        self._note = note
        self._pace = pace_seconds
        self._places: dict[str, Mark] = {}
        self._behind_since: int | None = None

    @property
    def position(self) -> int | None:
        """The position that all projections have reached; None as long as that is not known."""
        return min((mark.position for mark in self._places.values()), default=None)

    @property
    def behind_since(self) -> int | None:
        """When the oldest commit was made that was read and is not projected yet; None where there is none."""
        return self._behind_since

    async def run(self) -> None:
        """Project until cancelled; what fails is retried with a growing pause."""
        pause = FIRST_PAUSE
        while True:
            started = min((m.position for m in self._places.values()), default=0)
            try:
                await self._follow()
            except Moved as error:
                _log.warning("checkpoint moved", detail=str(error))
            except (StoreUnavailable, LogUnavailable) as error:
                self._say("waiting", str(error))
            except (Broken, UnknownEvent) as error:
                self._say("stopped", str(error))
            except Exception as error:  # noqa: BLE001 - a fault of one batch must not end the projector; it is reported
                _log.exception("projection failed")
                self._say("stopped", f"{type(error).__name__}: {error}")
            progressed = min((m.position for m in self._places.values()), default=0) > started
            pause = FIRST_PAUSE if progressed else min(LONGEST_PAUSE, pause * 2)
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        self._places = await self._store.places([p.name for p in self._projections])
        epoch = await self._check()
        if epoch is None:
            return
        start = min(mark.position for mark in self._places.values())
        self._behind_since = None  # what is behind is read at once
        reader = Reader(registries_of(self._projections), start)
        self._say("serving", "")
        if start:
            await self._advanced(start)
        async with contextlib.aclosing(_tail(self._log, start)) as batches:
            async for batch in batches:
                began = monotonic()
                await self._take(reader, batch, epoch)
                # In a rush it rests as long as it works: what comes meanwhile is cheaper together.
                await asyncio.sleep(max(self._pace, REST * (monotonic() - began)))

    async def _take(self, reader: Reader, batch: list[Stored], epoch: str) -> None:
        recorded = reader.read(batch)
        last = batch[-1]
        end = Mark(epoch, last.position, envelope.digest(last.body).hex())
        behind = [p for p in self._projections if self._places[p.name].position < end.position]
        if behind:
            self._behind_since = recorded[0].at if recorded else None
            await self._store.write([step(p, recorded, self._places[p.name], end) for p in behind])
            self._places |= {p.name: end for p in behind}
            self._behind_since = None
            await self._advanced(end.position)

    async def _check(self) -> str | None:
        """Return the log's epoch, or None when a checkpoint shows that this log is not the one that was read."""
        info = await self._log.info()
        for mark in self._places.values():
            if mark.position == 0:
                continue
            found = await guard.damage(self._log, mark)
            if found is not None:
                await self._note(mark)
                self._say("fenced", f"the database has read further than the log goes: {found}")
                return None
        if info is None:
            self._say("waiting", "the stream LOG does not exist")
            return None
        start = min(mark.position for mark in self._places.values())
        if info.first > start + 1:
            raise Broken(f"the log begins at {info.first}, and the database has read up to {start} only")
        return info.epoch

    def _say(self, health: Health, detail: str) -> None:
        if health != "serving":
            _log.error("projector", state=health, detail=detail)
        self._report(health, detail)


def _tail(log: Log, after: int) -> Any:
    # The port promises an async iterator; both adapters are generators, which have to be closed.
    return log.tail(subjects.EVERYTHING, after)
