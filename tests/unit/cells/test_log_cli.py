"""`titan log verify` and `export` over a log in memory, sound and damaged."""

import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from cells.cli.log import Line, described, exported, guarded, shown, verified
from cells.kernel import envelope
from cells.kernel.codec import EventKind, Registry
from cells.log import marks
from cells.log.memory import MemoryLog
from cells.log.port import Mark, Stored
from cells.trouble import Trouble


class Said(msgspec.Struct, frozen=True, array_like=True):
    word: str
    key: bytes = b"\x01"


WORDS = Registry([EventKind("Said", Said)])
KINDS = {"talk": WORDS}


async def filled(count: int) -> MemoryLog:
    log, link = MemoryLog(), envelope.GENESIS
    for version in range(1, count + 1):
        body = envelope.encode(WORDS, version, 1_800_000_000_000, link, [Said(f"w{version}")])
        link = envelope.digest(body)
        await log.append("log.001.talk.k", body, version - 1)
    return log


def quiet(_done: int, _last: int) -> None:
    """Progress is for people."""


def alter(log: MemoryLog, position: int, body: bytes) -> None:
    log._messages[position - 1] = Stored(position, log._messages[position - 1].subject, body)


async def test_a_sound_log_is_sound(tmp_path: Path) -> None:
    log = await filled(5)
    last = await log.last("log.001.talk.k")
    assert last is not None
    marks.write(tmp_path / "writer.json", Mark("memory", 5, envelope.digest(last.body).hex()))
    verdict = await verified(log, KINDS, tmp_path, quiet)
    assert (verdict.sound, verdict.messages, verdict.aggregates, verdict.events, verdict.marks) == (
        True,
        5,
        1,
        5,
        1,
    )


async def test_an_altered_commit_is_named_by_position_and_subject(tmp_path: Path) -> None:
    log = await filled(5)
    found = await log.at(2)
    assert found is not None
    alter(log, 2, found.body.replace(b"w2", b"W2"))
    verdict = await verified(log, KINDS, tmp_path, quiet)
    assert not verdict.sound
    assert [d for d in verdict.damage if "log.001.talk.k at 3" in d] == verdict.damage


async def test_a_mark_that_contradicts_the_log_is_damage(tmp_path: Path) -> None:
    marks.write(tmp_path / "writer.json", Mark("memory", 9, "00"))
    verdict = await verified(await filled(2), KINDS, tmp_path, quiet)
    assert verdict.damage == ["mark writer: the log ends at 2, but had reached 9"]


@pytest.mark.parametrize("body", (b"", b"\xc1\xc1", msgspec.msgpack.encode([1, 2])))
async def test_what_is_no_commit_is_damage(tmp_path: Path, body: bytes) -> None:
    log = await filled(3)
    alter(log, 2, body)
    verdict = await verified(log, KINDS, tmp_path, quiet)
    assert "log.001.talk.k at 2" in verdict.damage[0]


async def test_a_kind_that_is_not_known_is_damage(tmp_path: Path) -> None:
    assert not (await verified(await filled(1), {}, tmp_path, quiet)).sound


async def test_an_export_has_every_commit_and_its_sum(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    count, digest = await exported(await filled(4), "c1", KINDS, file)
    raw = file.read_bytes()
    header, *lines = [msgspec.json.decode(line) for line in raw.splitlines()]
    assert (count, digest) == (4, hashlib.sha256(raw).hexdigest())
    assert header == {"format": "titan-log-1", "cell": "c1", "epoch": "memory", "first": 1, "last": 4}
    assert [line["position"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["events"] == [{"event": "Said", "word": "w1", "key": "01"}]
    assert os.listdir(tmp_path) == ["log.jsonl"]  # noqa: PTH208 - pathlib is refused in async code


async def test_a_damaged_log_is_not_exported(tmp_path: Path) -> None:
    log = await filled(3)
    alter(log, 2, b"x")
    with pytest.raises(Trouble, match="damaged"):
        await exported(log, "c1", KINDS, tmp_path / "log.jsonl")
    assert not os.listdir(tmp_path)  # noqa: PTH208 - see above


async def test_a_commit_is_one_line_for_people() -> None:
    stored = await (await filled(1)).at(1)
    assert stored is not None
    assert shown(described(KINDS, stored)).endswith("log.001.talk.k  v1  Said")


async def test_what_could_be_used_to_get_in_is_not_shown() -> None:
    line = Line(
        1, "log.001.usr.k", 1, "", "", [{"event": "X", "password_hash": "a", "token_hash": "b", "at": 1}]
    )
    assert guarded(line).events == [{"event": "X", "password_hash": "***", "token_hash": "***", "at": 1}]
