"""What every feed of newest states keeps, over memory and over a real nats-server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from nats.aio.client import Client

from cells.log import connection
from realtime.events import Shown
from realtime.feed import FeedUnavailable, LatestFeed, MemoryFeed, Newest, UnknownChannel
from realtime.feed_nats import NatsFeed
from tests.integration.nats_process import NatsProcess
from tests.unit.realtime.builders import KEY, OTHER_KEY, SALE, sale_shown

SOON = 5.0


class Heard:
    """What a watcher was told; `until` waits for a position."""

    def __init__(self) -> None:
        self.shown: list[Shown] = []
        self._changed = asyncio.Event()

    def __call__(self, _key: str, shown: Shown) -> None:
        self.shown.append(shown)
        self._changed.set()

    async def until(self, position: int) -> None:
        async with asyncio.timeout(SOON):
            while not any(each.position == position for each in self.shown):
                self._changed.clear()
                await self._changed.wait()


class Writer:
    """The other side of the NATS feed: publishes states and answers for them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sales: dict[str, Shown] = {}
        self.asked: list[str] = []

    async def start(self) -> None:
        await self.client.subscribe("cell.c1.sale-get", queue="leader", cb=self._answer)
        await self.client.flush()

    async def _answer(self, message) -> None:
        self.asked.append(message.data.decode())
        await message.respond(msgspec.msgpack.encode(self.sales.get(message.data.decode())))

    async def put(self, shown: Shown) -> None:
        known = self.sales.get(SALE)
        if known is None or shown.position > known.position:
            self.sales[SALE] = shown
        await self.client.publish(f"cell.c1.sale.{SALE}", msgspec.msgpack.encode(shown))


class Subject:
    """A feed under test and how to write into it."""

    def __init__(self, feed: LatestFeed, put: Callable[[Shown], Awaitable[None]]) -> None:
        self.feed = feed
        self.put = put
        self.heard = Heard()
        feed.watch(self.heard)


async def epoch_of_test() -> str:
    return "e1"


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[NatsProcess]:
    async with NatsProcess(tmp_path) as process:
        yield process


@asynccontextmanager
async def over_nats(server: NatsProcess) -> AsyncIterator[tuple[NatsFeed, Writer]]:
    client, other = (
        await connection.connect(server.url, "feed"),
        await connection.connect(server.url, "writer"),
    )
    feed, writer = NatsFeed(client, "c1", epoch_of_test), Writer(other)
    await writer.start()
    await feed.start()
    await client.flush()
    yield feed, writer
    await connection.close(client)
    await connection.close(other)


@pytest.fixture
async def nats_feed(server) -> AsyncIterator[tuple[NatsFeed, Writer]]:
    async with over_nats(server) as both:
        yield both


@pytest.fixture(params=("memory", "nats"))
async def subject(request, tmp_path) -> AsyncIterator[Subject]:
    if request.param == "memory":
        feed = MemoryFeed("e1")

        async def put(shown: Shown) -> None:
            feed.put(KEY, shown)

        yield Subject(feed, put)
    else:
        async with NatsProcess(tmp_path) as server, over_nats(server) as (nats_side, writer):
            yield Subject(nats_side, writer.put)


async def test_a_watcher_hears_of_a_new_state(subject):
    await subject.put(sale_shown(1))
    await subject.heard.until(1)

    assert subject.heard.shown == [sale_shown(1)]
    assert subject.feed.known(KEY) == sale_shown(1)


async def test_states_that_are_not_newer_are_not_passed_on(subject):
    for position in (5, 4, 5, 6):
        await subject.put(sale_shown(position))
    await subject.heard.until(6)

    assert [each.position for each in subject.heard.shown] == [5, 6]


async def test_a_sale_is_got_in_its_newest_state(subject):
    await subject.put(sale_shown(1))
    await subject.put(sale_shown(2))
    await subject.heard.until(2)

    assert await subject.feed.get(KEY) == sale_shown(2)


async def test_a_sale_nobody_knows_is_unknown(subject):
    with pytest.raises(UnknownChannel):
        await subject.feed.get(OTHER_KEY)

    assert subject.feed.known(OTHER_KEY) is None


async def test_the_epoch_is_told(subject):
    assert subject.feed.epoch == "e1"


# --- of NATS alone ---


async def test_a_sale_not_heard_of_is_asked_for_once_for_all_who_want_it(nats_feed):
    feed, writer = nats_feed
    writer.sales[SALE] = sale_shown(7)
    states = await asyncio.gather(*(feed.get(KEY) for _ in range(20)))

    assert states == [sale_shown(7)] * 20
    assert writer.asked == [SALE]
    assert await feed.get(KEY) == sale_shown(7)
    assert writer.asked == [SALE]


async def test_without_a_writer_the_feed_says_so_at_once(server):
    client = await connection.connect(server.url, "feed")
    feed = NatsFeed(client, "c1", epoch_of_test)
    await feed.start()
    with pytest.raises(FeedUnavailable):
        async with asyncio.timeout(1.0):
            await feed.get(KEY)
    await connection.close(client)


async def test_unreadable_messages_are_passed_over(nats_feed):
    feed, writer = nats_feed
    heard = Heard()
    feed.watch(heard)
    await writer.client.publish(f"cell.c1.sale.{SALE}", b"\xff\x00junk")
    await writer.client.publish(f"cell.c1.sale.{SALE}", msgspec.msgpack.encode(None))
    await writer.put(sale_shown(3))
    await heard.until(3)

    assert [each.position for each in heard.shown] == [3]


async def test_a_state_lost_while_the_server_was_away_is_asked_for(server):
    """The writer moved on without a word: only asking again can find it out."""

    async def reconnected() -> None:
        feed.reconnected()

    client = await connection.connect(server.url, "feed", on_reconnect=reconnected)
    other = await connection.connect(server.url, "writer")
    feed, writer, heard = NatsFeed(client, "c1", epoch_of_test), Writer(other), Heard()
    epochs: list[str] = []
    await writer.start()
    await feed.start()
    feed.watch(heard)
    feed.interest(lambda: [KEY, "room:x"])
    running = asyncio.create_task(feed.run(epochs.append))
    writer.sales[SALE] = sale_shown(1)
    await feed.get(KEY)
    await server.stop()
    writer.sales[SALE] = sale_shown(9)
    await server.start()
    await heard.until(9)
    running.cancel()

    assert feed.known(KEY) == sale_shown(9)
    assert epochs == []
    await connection.close(client)
    await connection.close(other)


async def test_a_log_made_anew_is_reported(nats_feed):
    feed, _ = nats_feed
    epochs: asyncio.Queue[str] = asyncio.Queue()

    async def other_epoch() -> str:
        return "e2"

    feed._read_epoch = other_epoch
    feed.reconnected()
    running = asyncio.create_task(feed.run(epochs.put_nowait))

    assert await asyncio.wait_for(epochs.get(), SOON) == "e2"
    assert feed.epoch == "e2"
    running.cancel()


def test_what_is_remembered_is_bounded():
    newest = Newest(limit=2)
    for position, key in enumerate("abac", 1):
        newest.take(key, sale_shown(position))

    assert {key for key in "abc" if newest.get(key)} == {"a", "c"}


# --- what beats ---

CELL = "ops:cell"


async def beat(writer: Writer, position: int, text: bytes) -> None:
    await writer.client.publish("cell.c1.ops.frame", msgspec.msgpack.encode([position, text]))


async def test_every_beat_is_newer_also_at_one_position_and_after_a_reconnect(nats_feed):
    feed, writer = nats_feed
    heard = Heard()
    feed.watch(heard)
    for position, text in ((7, b'"a"'), (7, b'"b"'), (3, b'"c"')):
        await beat(writer, position, text)
    await heard.until(9)
    feed.reconnected()
    assert feed.known(CELL) is None
    for position, text in ((3, b'"d"'), (50, b'"e"')):
        await beat(writer, position, text)
    await heard.until(50)

    assert [(each.position, each.text) for each in heard.shown] == [
        (7, b'"a"'),
        (8, b'"b"'),
        (9, b'"c"'),
        (10, b'"d"'),
        (50, b'"e"'),
    ]


async def test_who_comes_before_the_first_beat_waits_for_it(nats_feed):
    feed, writer = nats_feed
    getting = [asyncio.create_task(feed.get(CELL)) for _ in range(3)]
    await asyncio.sleep(0)
    await beat(writer, 4, b"{}")

    assert await asyncio.gather(*getting) == [Shown(4, b"{}")] * 3


async def test_what_never_beats_is_unavailable(nats_feed):
    with pytest.raises(FeedUnavailable):
        await nats_feed[0].get(CELL)
