"""Whose keys are, from memory and asked anew, on a clock of our own."""

import asyncio

import pytest

from realtime.events import Holder
from realtime.keys import MAX_KEY_CHARS, REMEMBERED_MS, Keys
from realtime.source import MemorySource, SourceUnavailable

ADA = Holder("opr_1", "viewer", "Ada")


class Stage:
    def __init__(self) -> None:
        self.now = 0
        self.source = MemorySource()
        self.source.holders["tk_ada"] = ADA
        self.keys = Keys(self.source, lambda: self.now)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_an_answer_is_relied_on_for_five_seconds(stage):
    assert await stage.keys.holder("tk_ada") == ADA
    stage.source.holders.clear()
    stage.now = REMEMBERED_MS - 1
    assert await stage.keys.holder("tk_ada") == ADA
    stage.now = REMEMBERED_MS
    assert await stage.keys.holder("tk_ada") is None


async def test_a_no_is_relied_on_too(stage):
    assert [await stage.keys.holder("tk_x") for _ in range(3)] == [None] * 3
    assert stage.source.key_checks == 1


async def test_what_can_be_no_key_is_not_asked_for(stage):
    assert await stage.keys.holder("tk_" + "x" * MAX_KEY_CHARS) is None
    assert stage.source.key_checks == 0


async def test_what_is_known_is_answered_while_nobody_answers_and_nothing_else(stage):
    await stage.keys.holder("tk_ada")
    stage.source.available = False

    assert await stage.keys.holder("tk_ada") == ADA
    with pytest.raises(SourceUnavailable):
        await stage.keys.holder("tk_bob")


async def test_a_used_key_ends_by_a_no_and_not_by_silence(stage):
    ended: asyncio.Queue[str] = asyncio.Queue()
    rounds: asyncio.Queue[None] = asyncio.Queue()

    def used() -> list[str]:
        rounds.put_nowait(None)
        return ["tk_ada", "tk_gone"]

    stage.source.holders["tk_gone"] = Holder("opr_2", "admin", "Bob")
    stage.source.available = False
    watching = asyncio.create_task(stage.keys.watch(used, ended.put_nowait, every=0.0))
    for _ in range(3):
        await rounds.get()
    assert ended.empty()
    stage.source.available = True
    del stage.source.holders["tk_gone"]

    assert await ended.get() == "tk_gone"
    await rounds.get()
    assert {ended.get_nowait() for _ in range(ended.qsize())} <= {"tk_gone"}
    watching.cancel()
