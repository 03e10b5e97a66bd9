"""The feed and the tables of chat on a real Postgres: however the log is cut into batches, the rows are the same."""

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cells.engine.project import Reader, Recorded, registries_of
from cells.kernel import envelope, ids
from cells.log import subjects
from cells.log.chain import Chain
from cells.log.port import Stored
from realtime.events import Event
from server.chat.commands import Command, Moderate, MoveCursors, OpenConversation, PostMessage
from server.chat.evolve import evolve
from server.chat.model import CONVERSATION, EVENTS, ROOM, By, Channel
from server.chat.rules import ChatRules
from server.feed.projection import FeedProjection
from server.flash_sale.read import SalesProjection
from server.store import engine, migrate
from tests.integration.store_engines import Engines, engines
from tests.unit.server.store.history import History

TABLES = ("feed", "chat_events", "conversations")
SLOT = 7
START = 1_800_000_000_000


class Talk:
    """A conversation or a room whose two people chat at random."""

    def __init__(self, chance: random.Random, kind: str) -> None:
        self.chance, self.kind = chance, kind
        prefix = "cnv" if kind == CONVERSATION else "sal"
        self.key = ids.new_id(prefix, SLOT, START, chance.randbytes(10))
        self.people = [ids.new_id(p, SLOT, START, chance.randbytes(10)) for p in ("usr", "mer")]
        self.positions: list[int] = []
        self.channel, self.chain = Channel(self.positions), Chain()
        self.count = 0

    def commit(self, position: int) -> Stored:
        """Return the next commit as it lies at a position."""
        version, decided = len(self.positions) + 1, ChatRules(self.kind)
        events: list[Any] = []
        while not events:
            for _ in range(self.chance.randrange(1, 5)):
                found, _ = decided.decide(self.channel, self._command(), START + position)
                for event in found:
                    evolve(self.channel, event, version)
                events += found
        body = envelope.encode(EVENTS, version, START + position, self.chain.hash, events)
        self.positions.append(position)
        self.chain.advance(position, body)
        return Stored(position, subjects.subject(SLOT, self.kind, self.key), body)

    def _command(self) -> Command:
        if self.kind == CONVERSATION and not self.channel.id:
            return OpenConversation(self.key, self.people[0], self.people[1], "", "Title", "Bea")
        who, kind = self.chance.randrange(2), self.chance.random()
        self.count += 1
        if kind < 0.6:
            role: Any = ("buyer", "merchant")[who]
            message_id = ids.new_id("msg", SLOT, START, self.chance.randbytes(10))
            digest = self.chance.randbytes(16)
            text = f"message {self.count} „ü“"
            return PostMessage(self.key, message_id, self.people[who], "Name", role, text, digest)
        if kind < 0.75 and self.channel.messages:
            target = self.chance.choice(list(self.channel.messages))
            return Moderate(self.key, "delete", By(self.people[1], "merchant", ""), target)
        top = self.channel.end
        up_to = self.chance.randrange(top) if top else 0
        return MoveCursors(self.key, self.people[who], up_to, self.chance.choice([0, up_to]))


def log(seed: int, commits: int) -> list[Stored]:
    """Return a log of sales, payments and chat."""
    chance = random.Random(seed)
    shop: Iterator[Stored] = iter(History(seed).in_memory(commits))
    talks = [Talk(chance, kind) for kind in (CONVERSATION, CONVERSATION, ROOM)]
    found: list[Stored] = []
    for position in range(1, commits + 1):
        if chance.random() < 0.4:
            found.append(chance.choice(talks).commit(position))
        else:
            stored = next(shop)
            found.append(Stored(position, stored.subject, stored.body))
    return found


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Engines]:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o711)
    async with engines(tmp_path / "data") as found:
        await migrate.migrate(found.database_url)
        await engine.start(found.database_url, connections=2)
        try:
            yield found
        finally:
            await engine.stop()


async def rows_of(
    stored: Sequence[Stored], cuts: Iterator[int]
) -> tuple[dict[str, Any], dict[str, list[Event]]]:
    """Project a log cut into batches; return the rows, and what was told live."""
    projections = (SalesProjection(), FeedProjection())
    told: dict[str, list[Event]] = {}
    async with engine.connection() as connection:
        for table in ("sales", "holds", *TABLES):
            await connection.execute(f"TRUNCATE {table}")
        reader, start = Reader(registries_of(projections), 0), 0
        while start < len(stored):
            size = next(cuts)
            batch: list[Recorded] = reader.read(stored[start : start + size])
            start += size
            async with connection.transaction():
                for projection in projections:
                    wanted = [r for r in batch if r.kind in projection.registries]
                    await projection.apply(connection, wanted)
            for account, events in projections[1].told.items():
                told.setdefault(account, []).extend(events)
        rows = {t: sorted(tuple(r) for r in await connection.fetch(f"SELECT * FROM {t}")) for t in TABLES}  # noqa: S608 - our tables
    return rows, told


@pytest.mark.usefixtures("run")
async def test_any_batching_gives_the_same_rows_and_the_same_news() -> None:
    for seed in range(4):
        stored, chance = log(seed, 250), random.Random(seed)
        whole, told = await rows_of(stored, iter([len(stored)]))
        one, told_one = await rows_of(stored, iter([1] * len(stored)))
        some, told_some = await rows_of(stored, iter(chance.randrange(1, 20) for _ in stored))
        assert whole == one == some
        assert told == told_one == told_some
        assert all(whole.values())


@pytest.mark.usefixtures("run")
async def test_news_and_channels_are_chains_and_news_of_unread_agree_with_the_lists() -> None:
    rows, told = await rows_of(log(9, 250), iter([40] * 250))
    for account, events in told.items():
        assert [e.p for e in events] == [0, *(e.s for e in events[:-1])]
        assert [(account, e.s, e.p, e.t, e.d.decode()) for e in events] == [
            r for r in rows["feed"] if r[0] == account
        ]
    channels = {row[0] for row in rows["chat_events"]}
    for channel in channels:
        chain = [row for row in rows["chat_events"] if row[0] == channel]
        assert chain[0][2] == 0
        assert all(later[2] == earlier[1] for earlier, later in pairwise(chain))
    for row in rows["conversations"]:
        cnv, buyer, merchant, *_, buyer_unread, merchant_unread = row[0], row[1], row[3], row[-2], row[-1]
        for account, unread in ((buyer, buyer_unread), (merchant, merchant_unread)):
            news = [msgspec.json.decode(e.d) for e in told.get(account, []) if e.t == "unread"]
            newest = [n["unread"] for n in news if n["conversation_id"] == cnv]
            assert (newest[-1] if newest else 0) == unread


@pytest.mark.usefixtures("run")
async def test_what_was_deleted_is_in_no_row() -> None:
    rows, _ = await rows_of(log(11, 200), iter([25] * 200))
    deleted = {msgspec.json.decode(r[4])["id"] for r in rows["chat_events"] if r[3] == "deleted"}
    assert deleted
    for row in rows["chat_events"]:
        if row[5] in deleted:
            assert msgspec.json.decode(row[4]) == {"id": row[5], "deleted": True}
            assert row[7]
    assert not any(r[8] in deleted and r[10] for r in rows["conversations"])
