"""The projector's loop over a log and a store in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
import pytest

from cells.engine.project import (
    NOWHERE,
    Health,
    Moved,
    Projector,
    Reader,
    Recorded,
    Step,
    StoreUnavailable,
)
from cells.kernel import envelope
from cells.kernel.codec import EventKind, Registry, UnknownEvent
from cells.log.chain import Broken
from cells.log.memory import MemoryLog
from cells.log.port import Appended, Mark, Stored


class Said(msgspec.Struct, frozen=True, array_like=True):
    word: str


class Unheard(msgspec.Struct, frozen=True, array_like=True):
    word: str


WORDS = Registry([EventKind("Said", Said)])
NEWER = Registry([EventKind("Said", Said), EventKind("Unheard", Unheard)])

Rows = list[tuple[int, str]]


class Talk:
    """A projection that writes what was said."""

    tables = ("talk",)

    def __init__(self, name: str, kind: str = "talk") -> None:
        self.name = name
        self.registries: Mapping[str, Registry] = {kind: WORDS}

    async def apply(self, connection: Rows, batch: Sequence[Recorded]) -> None:
        connection += [(r.position, e.word) for r in batch for e in r.events]


class MemoryStore:
    """Keeps the store's port: all steps or none. `faults` befall the next writes."""

    def __init__(self) -> None:
        self.rows: dict[str, Rows] = {}
        self.marks: dict[str, Mark] = {}
        self.faults: list[Exception] = []
        self.writes = 0

    async def places(self, names: Sequence[str]) -> dict[str, Mark]:
        return {name: self.marks.get(name, NOWHERE) for name in names}

    async def write(self, steps: Sequence[Step[Rows]]) -> None:
        self.writes += 1
        if self.faults:
            raise self.faults.pop()
        drafts = {}
        for step in steps:
            if self.marks.get(step.projection.name, NOWHERE) != step.before:
                raise Moved(step.projection.name)
            draft = list(self.rows.get(step.projection.name, []))
            await step.projection.apply(draft, step.batch)
            drafts[step.projection.name] = draft
        self.rows |= drafts
        self.marks |= {step.projection.name: step.after for step in steps}


class Scene:
    def __init__(self, *projections: Talk) -> None:
        self.log = MemoryLog()
        self.store = MemoryStore()
        self.projections = projections or (Talk("a"),)
        self.health: list[tuple[Health, str]] = []
        self.noted: list[Mark] = []
        self.position = 0
        self.changed = asyncio.Event()
        self._hashes: dict[str, tuple[int, int, bytes]] = {}

    async def say(self, *words: str, kind: str = "talk", key: str = "k", registry: Registry = WORDS) -> int:
        for word in words:
            subject = f"log.001.{kind}.{key}"
            version, position, link = self._hashes.get(subject, (0, 0, envelope.GENESIS))
            event = Said(word) if registry is WORDS else Unheard(word)
            body = envelope.encode(registry, version + 1, 1, link, [event])
            outcome = await self.log.append(subject, body, position)
            assert isinstance(outcome, Appended)
            self._hashes[subject] = (version + 1, outcome.position, envelope.digest(body))
        return (await self.log.info()).last

    async def until(self, position: int) -> None:
        async with asyncio.timeout(5):
            while self.position < position:
                await self.changed.wait()
                self.changed.clear()

    async def until_said(self, health: Health) -> str:
        async with asyncio.timeout(5):
            while not any(said == health for said, _ in self.health):
                await self.changed.wait()
                self.changed.clear()
        return next(detail for said, detail in self.health if said == health)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async def advanced(position: int) -> None:
            self.position = position
            self.changed.set()

        async def note(mark: Mark) -> None:
            self.noted.append(mark)

        def report(health: Health, detail: str) -> None:
            self.health.append((health, detail))
            self.changed.set()

        self.projector: Projector[Rows] = Projector(
            self.log,
            self.store,
            self.projections,
            report=report,
            advanced=advanced,
            note=note,
            pace_seconds=0,
        )
        task = asyncio.create_task(self.projector.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_every_projection_gets_its_kinds_once_and_in_order():
    scene = Scene(Talk("a"), Talk("b", "other"))
    await scene.say("one", "two")
    async with scene.running():
        await scene.until(await scene.say("three", kind="other"))
        await scene.until(await scene.say("four"))
    assert scene.store.rows == {"a": [(1, "one"), (2, "two"), (4, "four")], "b": [(3, "three")]}
    assert {m.position for m in scene.store.marks.values()} == {4}


async def test_a_projection_that_is_behind_is_brought_up_alone():
    scene = Scene(Talk("a"), Talk("new"))
    end = await scene.say("one", "two", "three")
    stored = await scene.log.at(2)
    assert stored is not None
    scene.store.marks["a"] = Mark("memory", 2, envelope.digest(stored.body).hex())
    async with scene.running():
        await scene.until(end)
    assert scene.store.rows["a"] == [(3, "three")]
    assert [word for _, word in scene.store.rows["new"]] == ["one", "two", "three"]


@pytest.mark.parametrize("fault", (StoreUnavailable("away"), Moved("a"), ValueError("a bug")))
async def test_what_failed_is_done_again_from_the_checkpoint(fault):
    scene = Scene()
    scene.store.faults = [fault]
    end = await scene.say("one")
    async with scene.running():
        await scene.until(end)
    assert scene.store.rows["a"] == [(1, "one")]


async def test_how_far_it_is_and_since_when_it_is_behind_can_be_asked():
    scene = Scene()
    scene.store.faults = [StoreUnavailable("away")]
    end = await scene.say("one", "two")
    async with scene.running():
        assert (scene.projector.position, scene.projector.behind_since) == (None, None)
        await scene.until_said("waiting")
        assert (scene.projector.position, scene.projector.behind_since) == (0, 1)
        await scene.until(end)
        assert (scene.projector.position, scene.projector.behind_since) == (end, None)


async def test_an_unknown_event_stops_the_projector_and_is_named():
    scene = Scene()
    await scene.say("one")
    await scene.say("two", key="z", registry=NEWER)
    async with scene.running():
        detail = await scene.until_said("stopped")
    assert "log.001.talk.z at 2" in detail
    assert "Unheard" in detail
    assert scene.store.marks.get("a", NOWHERE).position == 0


async def test_a_checkpoint_beyond_the_log_is_noted_and_nothing_is_written():
    scene = Scene()
    await scene.say("one")
    scene.store.marks["a"] = Mark("memory", 9, "00")
    async with scene.running():
        detail = await scene.until_said("fenced")
    assert "had reached 9" in detail
    assert scene.noted[0].position == 9
    assert scene.store.writes == 0


async def test_a_checkpoint_of_another_log_fences():
    scene = Scene()
    await scene.say("one", "two")
    scene.store.marks["a"] = Mark("earlier", 1, "00")
    async with scene.running():
        assert "made anew" in await scene.until_said("fenced")


def commit(version: int, link: bytes, word: str = "w") -> bytes:
    return envelope.encode(WORDS, version, 1, link, [Said(word)])


def test_a_hole_in_the_log_is_noticed():
    reader = Reader({"talk": WORDS}, 4)
    with pytest.raises(Broken, match="from 4 to 6"):
        reader.read([Stored(6, "log.001.talk.k", commit(1, envelope.GENESIS))])


def test_a_commit_that_was_changed_is_noticed_at_its_successor():
    first = commit(1, envelope.GENESIS)
    reader = Reader({}, 0)
    with pytest.raises(Broken, match="at 2"):
        reader.read(
            [
                Stored(1, "log.001.talk.k", commit(1, envelope.GENESIS, "changed")),
                Stored(2, "log.001.talk.k", commit(2, envelope.digest(first))),
            ]
        )


def test_a_chain_is_taken_up_in_its_middle():
    second = commit(2, envelope.digest(commit(1, envelope.GENESIS)))
    reader = Reader({"talk": WORDS}, 7)
    found = reader.read(
        [
            Stored(8, "log.001.talk.k", second),
            Stored(9, "log.001.talk.k", commit(3, envelope.digest(second))),
        ]
    )
    assert [r.version for r in found] == [2, 3]


@pytest.mark.parametrize("body", (b"", b"\xc1", b"\x91\x01", commit(1, b"x" * 32)))
def test_a_first_commit_that_is_none_is_noticed(body):
    with pytest.raises(Broken):
        Reader({"talk": WORDS}, 0).read([Stored(1, "log.001.talk.k", body)])


def test_bytes_that_are_a_header_and_no_commit_are_noticed():
    body = msgspec.msgpack.encode([1, 1, envelope.GENESIS, [["Said", 1, 5]]])
    with pytest.raises((Broken, UnknownEvent)):
        Reader({"talk": WORDS}, 0).read([Stored(1, "log.001.talk.k", body)])
