"""The log's contract, kept by both adapters: the real one on a real nats-server, and the one in memory."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest

from cells.engine.commit import commit
from cells.log import subjects
from cells.log.jetstream import JetStreamLog
from cells.log.memory import MemoryLog
from cells.log.port import Appended, Conflict, Log, Mark, Refused, Stored
from tests.contracts.nats_server import running_nats

_numbers = itertools.count()


@pytest.fixture(params=["memory", "jetstream"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    if request.param == "memory":
        yield MemoryLog()
        return
    async with running_nats(tmp_path / "nats") as server:
        opened = await JetStreamLog.open(server.url, tmp_path / "marks", "test")
        yield opened
        await opened.close()


def fresh_subject() -> str:
    return subjects.subject(7, "thing", f"t{next(_numbers)}")


async def read_all(log: Log, pattern: str, after: int = 0) -> list[Stored]:
    return [stored async for batch in log.read(pattern, after) for stored in batch]


async def appended(log: Log, subject: str, body: bytes, expected: int) -> int:
    outcome = await log.append(subject, body, expected)
    assert isinstance(outcome, Appended)
    return outcome.position


async def test_what_was_appended_is_read_in_order(log: Log) -> None:
    subject = fresh_subject()
    first = await appended(log, subject, b"one", 0)
    second = await appended(log, subject, b"two", first)
    assert await read_all(log, subject) == [Stored(first, subject, b"one"), Stored(second, subject, b"two")]
    assert await read_all(log, subject, after=first) == [Stored(second, subject, b"two")]
    assert await log.last(subject) == Stored(second, subject, b"two")
    assert await log.at(first) == Stored(first, subject, b"one")


async def test_an_append_at_the_wrong_position_changes_nothing(log: Log) -> None:
    subject = fresh_subject()
    position = await appended(log, subject, b"one", 0)
    assert await log.append(subject, b"two", 0) == Conflict()
    assert await log.append(subject, b"two", position + 1000) == Conflict()
    assert [s.body for s in await read_all(log, subject)] == [b"one"]


async def test_of_many_writers_at_one_position_exactly_one_wins(log: Log) -> None:
    subject = fresh_subject()
    outcomes = await asyncio.gather(*(log.append(subject, f"{n}".encode(), 0) for n in range(24)))
    assert sum(isinstance(o, Appended) for o in outcomes) == 1
    assert sum(o == Conflict() for o in outcomes) == 23


async def test_reading_back_tells_mine_from_anothers_from_nothing(log: Log) -> None:
    subject = fresh_subject()
    position = await appended(log, subject, b"mine", 0)
    assert await log.settle(subject, b"mine", 0) == Appended(position)
    assert await log.settle(subject, b"another", 0) == Conflict()
    assert isinstance(await log.settle(subject, b"next", position), Refused)


async def test_a_repeated_commit_is_found_and_not_stored_twice(log: Log) -> None:
    subject = fresh_subject()
    position = await appended(log, subject, b"mine", 0)
    assert await log.append(subject, b"mine", 0) == Conflict(), "compare-and-set comes before all else"
    assert await commit(log, subject, b"next", position, 1.0) == Appended(position + 1)


async def test_a_tail_has_no_gap_and_no_repeat(log: Log) -> None:
    subject = fresh_subject()
    start = (await log.info()).last  # type: ignore[union-attr]  # the stream exists
    seen: list[bytes] = []

    async def follow() -> None:
        async for batch in log.tail("log.>", start):
            seen.extend(s.body for s in batch)
            if len(seen) >= 300:
                return

    following = asyncio.create_task(follow())
    position = 0
    for n in range(300):
        position = await appended(log, subject, str(n).encode(), position)
    await asyncio.wait_for(following, 20)
    assert seen == [str(n).encode() for n in range(300)]


async def test_a_tail_starts_behind_a_position_and_selects(log: Log) -> None:
    mine, other = fresh_subject(), fresh_subject()
    first = await appended(log, mine, b"old", 0)
    await appended(log, other, b"not mine", 0)
    await appended(log, mine, b"new", first)
    async for batch in log.tail(mine, first):
        assert [s.body for s in batch] == [b"new"]
        break


async def test_subjects_are_listed_with_their_number_of_commits(log: Log) -> None:
    subject = fresh_subject()
    await appended(log, subject, b"two", await appended(log, subject, b"one", 0))
    assert (await log.subjects(subjects.of_kind("thing")))[subject] == 2


async def test_a_log_shorter_than_its_mark_is_fenced(log: Log) -> None:
    info = await log.info()
    assert info is not None
    beyond = Mark(info.epoch, info.last + 10, "00" * 32)
    noted = log.note(beyond)  # type: ignore[attr-defined]  # both adapters have it; the port need not
    if noted is not None:
        await noted
    assert log.fenced is not None
    assert str(beyond.position) in log.fenced
    refused = await log.append(fresh_subject(), b"never", 0)
    assert isinstance(refused, Refused)
    assert refused.fenced


async def test_reading_much_is_complete(log: Log) -> None:
    subject = fresh_subject()
    position = 0
    for n in range(50):
        position = await appended(log, subject, bytes([n]) * 100_000, position)
    assert [s.body[0] for s in await read_all(log, subject)] == list(range(50)), (
        "more than one batch of 4 MiB"
    )


class TestDamage:
    """What only the real log can suffer."""

    async def test_a_log_that_was_made_anew_is_fenced(self, tmp_path: Path) -> None:
        """A stream that was deleted and re-created by hand is another log, however long it grows."""
        async with running_nats(tmp_path / "nats") as server:
            log = await JetStreamLog.open(server.url, tmp_path / "marks", "test")
            await appended(log, fresh_subject(), b"\x93\x01\x00\xc0", 0)
            await log.close()
            admin = await nats.connect(server.url)
            await admin.jetstream().delete_stream("LOG")
            await admin.request("$JS.API.STREAM.CREATE.LOG", json.dumps(server.stream).encode())
            await admin.close()
            log = await JetStreamLog.open(server.url, tmp_path / "marks", "test")
            assert log.fenced is not None
            assert "made anew" in log.fenced
            await log.close()

    async def test_a_missing_log_is_fenced_and_not_made(self, tmp_path: Path) -> None:
        """A cell that had a log never gets an empty one without being asked."""
        async with running_nats(tmp_path / "nats") as server:
            log = await JetStreamLog.open(server.url, tmp_path / "marks", "test")
            await appended(log, fresh_subject(), b"one", 0)
            await log.close()
            admin = await nats.connect(server.url)
            await admin.jetstream().delete_stream("LOG")
            log = await JetStreamLog.open(server.url, tmp_path / "marks", "test")
            assert log.fenced == "the stream LOG does not exist, but this cell had one"
            assert await log.info() is None
            await log.close()
            await admin.close()

    @pytest.mark.parametrize("where", ("middle", "last"))
    async def test_a_flipped_bit_is_noticed(self, tmp_path: Path, where: str) -> None:
        """nats-server silently drops what follows a bad record; the mark outside remembers."""
        async with running_nats(tmp_path / "nats") as server:
            log = await JetStreamLog.open(server.url, tmp_path / "marks", "test")
            subject, position = fresh_subject(), 0
            for n in range(40):
                position = await appended(log, subject, b"%04d" % n + bytes(200), position)
            await log.close()
            server.kill()
            block = next(iter(sorted((tmp_path / "nats").rglob("*.blk"))))
            data = bytearray(block.read_bytes())
            data[len(data) // 2 if where == "middle" else len(data) - 60] ^= 1
            block.write_bytes(data)
            for index in (tmp_path / "nats").rglob("index.db"):
                index.unlink()
            server.start()
            log = await JetStreamLog.open(server.url, tmp_path / "marks", "test")
            assert log.fenced is not None
            await log.close()

    async def test_a_restart_of_the_server_loses_nothing_and_ends_nothing(self, tmp_path: Path) -> None:
        """SIGKILL of nats-server under a tail and a writer."""
        async with running_nats(tmp_path / "nats") as server:
            log = await JetStreamLog.open(server.url, tmp_path / "marks", "test")
            subject = fresh_subject()
            seen: list[bytes] = []

            async def follow() -> None:
                async for batch in log.tail("log.>", 0):
                    seen.extend(s.body for s in batch)
                    if len(seen) == 200:
                        return

            following = asyncio.create_task(follow())
            position = 0
            for n in range(200):
                if n == 100:
                    server.kill()
                    server.start()
                outcome = await commit(log, subject, str(n).encode(), position, 20.0)
                while isinstance(outcome, Refused) and not outcome.fenced:
                    outcome = await commit(log, subject, str(n).encode(), position, 20.0)
                assert isinstance(outcome, Appended)
                position = outcome.position
            await asyncio.wait_for(following, 20)
            assert seen == [str(n).encode() for n in range(200)]
            assert log.fenced is None
            await log.close()

    async def test_a_stopped_server_gives_unknown_and_the_commit_is_resolved(self, tmp_path: Path) -> None:
        """SIGSTOP: the append may land later; reading back finds it, and it is stored once."""
        async with running_nats(tmp_path / "nats") as server:
            log = await JetStreamLog.open(server.url, tmp_path / "marks", "test")
            subject = fresh_subject()
            server.pause()
            committing = asyncio.create_task(commit(log, subject, b"late", 0, 30.0))
            done, _ = await asyncio.wait([committing], timeout=2.5)
            assert not done, "no answer is no outcome"
            server.resume()
            assert isinstance(await asyncio.wait_for(committing, 20), Appended)
            assert [s.body for s in await read_all(log, subject)] == [b"late"]
            await log.close()
