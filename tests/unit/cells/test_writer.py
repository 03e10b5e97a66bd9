"""The writer when its rules fail: nothing is answered that is not in the log."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from cells.engine.hot import Changed
from cells.engine.writer import Writer
from cells.kernel.clock import ManualClock
from cells.kernel.codec import EventKind, Registry
from cells.log.memory import MemoryLog

SLOT, KEY = 7, "tly_1"


class Added(msgspec.Struct, frozen=True, array_like=True):
    """One was added."""

    amount: int


class Tally:
    """The sum, and the commits that made it."""

    def __init__(self) -> None:
        self.sum = 0


class TallyRules:
    """Adds what it is told; breaks at what is no number."""

    kind = "tly"
    registry = Registry([EventKind("Added", Added)])

    def initial(self, positions: Sequence[int]) -> Tally:  # noqa: ARG002 - the port's shape
        return Tally()

    def decide(self, state: Tally, command: Any, now: int) -> tuple[list[Any], Any]:  # noqa: ARG002 - see above
        return [Added(command + 0)], state.sum + command

    def evolve(self, state: Tally, event: Added, version: int) -> None:  # noqa: ARG002 - see above
        state.sum += event.amount

    def tick(self, state: Tally, now: int) -> list[Any]:  # noqa: ARG002 - see above
        return []

    def due(self, state: Tally) -> int | None:  # noqa: ARG002 - see above
        return None

    def taken_over(self, term: int, writer: str) -> msgspec.Struct:  # noqa: ARG002 - see above
        return Added(0)

    def idle(self, state: Tally) -> bool:  # noqa: ARG002 - see above
        return True

    def answer(self, state: Tally, reply: Any, version: int, positions: Sequence[int]) -> Any:  # noqa: ARG002 - see above
        return reply

    def refuse(self, code: str, detail: str) -> Any:  # noqa: ARG002 - see above
        return code


class Nobody:
    """A watcher that looks away."""

    def loaded(self, change: Changed) -> None:
        """Nothing is told."""

    def changed(self, change: Changed) -> None:
        """Nothing is told."""

    def unloaded(self, key: str) -> None:
        """Nothing is told."""


class Stage:
    def __init__(self) -> None:
        self.log = MemoryLog()
        self.clock = ManualClock()
        self.writer: Writer[Tally, Any] = Writer(
            self.log, TallyRules(), self.clock, Nobody(), term=1, name="memory"
        )

    async def ask(self, *commands: Any) -> list[Any]:
        answers = [asyncio.get_running_loop().create_future() for _ in commands]
        for command, answer in zip(commands, answers, strict=True):
            self.writer.submit(SLOT, KEY, command, self.clock.now() + 1_000, answer.set_result)
        async with asyncio.timeout(5):
            return list(await asyncio.gather(*answers))


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_what_was_decided_beside_a_command_that_breaks_the_rules_is_not_in_memory_either(stage):
    """Neither in memory nor in the log, everybody answered, and a retry gets what the log says."""
    assert await stage.ask(1) == [1]
    assert await stage.ask(2, "x", 4) == ["outcome_unknown", "internal", "unavailable"]
    assert len(stage.log.stored("log.>")) == 1

    assert await stage.ask(2, 4) == [3, 7]


async def test_a_log_that_raises_leaves_no_memory_ahead_of_it(stage, monkeypatch):
    assert await stage.ask(1) == [1]

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(stage.log, "append", broken)
        assert await stage.ask(5) == ["outcome_unknown"]
    assert await stage.ask(2) == [3]


async def test_a_command_whose_memory_is_dropped_while_it_comes_finds_the_next_one(stage, monkeypatch):
    """Two memories of one aggregate would take each other for another writer."""
    own = stage.writer.own
    dropped: list[Any] = []

    async def dropping(slot: int, key: str) -> Any:
        owned = await own(slot, key)
        if not dropped:
            dropped.append(stage.writer._owned.pop(key))
            owned.state.sum = 1_000
        return owned

    with monkeypatch.context() as patched:
        patched.setattr(stage.writer, "own", dropping)
        assert await stage.ask(1) == [1]
    assert dropped
    assert await stage.ask(2) == [3]
