"""Whatever dies or stands still: nothing said is lost to those who come back, and nothing is shown twice."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from cells.log import connection
from realtime.client import RealtimeClient
from realtime.codes import CloseCode
from realtime.desk import DeskSettings
from realtime.events import AccessChanged
from realtime.session import Limits
from realtime.shell_ws import Settings
from tests.contracts.log_feature import LogFeature
from tests.contracts.nats_server import NatsServer
from tests.integration.hub_cell import Cell, as_, people
from tests.integration.hub_process import HubProcess
from tests.unit.realtime.builders import CHAT, ROOM

CLIENTS = 12
LONG = 40.0
STILL_SECONDS = 20.0


@pytest.fixture
def nats(tmp_path):
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def feature(nats) -> AsyncIterator[LogFeature]:
    client = await connection.connect(nats.url, "feature")
    feature = LogFeature(client)
    await feature.start()
    yield feature
    await connection.close(client)


class Reader:
    """Reads a room through a client and notes what it saw, in order."""

    def __init__(self, client: RealtimeClient) -> None:
        self.client = client
        self.seen: list[str] = []
        self._news = asyncio.Event()

    async def run(self) -> None:
        async for update in self.client.updates():
            if update.t == "msg":
                self.seen.append(update.value["text"])
                self._news.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(LONG):
            while len(self.seen) < count:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def readers(hub: HubProcess | Cell, count: int = CLIENTS) -> AsyncIterator[list[Reader]]:
    names = ("ada", "bob", "cyd")
    async with AsyncExitStack() as stack:
        found = []
        for i in range(count):
            reader = Reader(await stack.enter_async_context(as_(hub, names[i % 3])))
            await reader.client.sub(ROOM)
            found.append(reader)
        running = [asyncio.create_task(each.run()) for each in found]
        yield found
        for task in running:
            task.cancel()


async def talk(speaker: RealtimeClient, count: int, pause: float = 0.005) -> list[str]:
    """Say `count` things, several at once, as an impatient room does; answers them in the order of the log."""
    saying = []
    for i in range(count):
        saying.append(asyncio.create_task(speaker.msg(ROOM, f"m{i}")))
        await asyncio.sleep(pause)
    places = await asyncio.gather(*saying)
    assert len(set(places)) == count
    return [f"m{i}" for _, i in sorted(zip(places, range(count), strict=True))]


async def seen_by_all(found: list[Reader], said: list[str]) -> None:
    for each in found:
        await each.until(len(said))

        assert each.seen == said


async def test_a_hub_that_is_told_to_end_sends_its_clients_to_the_next_one(nats, feature):
    """SIGTERM under load, with a second hub on the same port: everybody is told, nobody loses or sees twice."""
    async with HubProcess(nats.url, "hub-1") as first, readers(first) as found:  # noqa: SIM117 - all begin at the first
        async with HubProcess(nats.url, "hub-2", first.port), as_(first, "ada") as speaker:
            await speaker.sub(ROOM)
            talking = asyncio.create_task(talk(speaker, 300))
            await found[0].until(50)
            first.signal(signal.SIGTERM)
            ended = await first.ended()
            said = await talking
            await seen_by_all(found, said)

            assert ended == 0
            assert [each.client.goaways for each in found] == [1] * CLIENTS
            # Made before broken: no connection was lost while it was in use.
            assert [each.client.closes for each in found] == [[]] * CLIENTS
    assert len(feature.memory.channel(ROOM).events) == 300


async def test_a_hub_that_is_killed_is_made_up_for_by_resuming(nats, feature):
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(HubProcess(nats.url, "hub-1"))
        found = await stack.enter_async_context(readers(first))
        speaker = await stack.enter_async_context(as_(first, "ada"))
        await speaker.sub(ROOM)
        talking = asyncio.create_task(talk(speaker, 300))
        await found[0].until(50)
        first.signal(signal.SIGKILL)
        await first.ended()
        await stack.enter_async_context(HubProcess(nats.url, "hub-2", first.port))
        await seen_by_all(found, await talking)

        assert [each.client.closes for each in found] == [[1006]] * CLIENTS
    assert len(feature.memory.channel(ROOM).events) == 300


async def test_a_nats_server_that_is_killed_loses_nothing(nats, feature):
    settings, desk = Settings(frozenset()), DeskSettings("hub-1", Limits(rates=False))
    async with (
        Cell(nats.url, settings, desk, people(), hub_only=True) as cell,
        readers(cell, 4) as found,
        as_(cell, "ada") as speaker,
    ):
        await speaker.sub(ROOM)
        said = await talk(speaker, 20)
        nats.kill()
        # Durable, but the telling of it is lost.
        said.append("unheard")
        feature.memory.put(ROOM, "msg", b'{"text":"unheard"}')
        nats.start()
        said += [f"after {i}" for i in range(3)]
        for text in said[-3:]:
            await speaker.msg(ROOM, text)
        await seen_by_all(found, said)
        assert [each.client.closes for each in found] == [[]] * 4


async def test_what_was_told_to_nobody_is_found_after_the_reconnect_without_a_further_event(nats, feature):
    settings, desk = Settings(frozenset()), DeskSettings("hub-1", Limits(rates=False))
    async with Cell(nats.url, settings, desk, people(), hub_only=True) as cell, readers(cell, 2) as found:
        nats.kill()
        feature.memory.put(ROOM, "msg", b'{"text":"unheard"}')
        nats.start()
        await seen_by_all(found, ["unheard"])


async def test_a_nats_server_that_stands_still_loses_nothing(nats, feature):
    settings, desk = Settings(frozenset()), DeskSettings("hub-1", Limits(rates=False))
    async with (
        Cell(nats.url, settings, desk, people(), hub_only=True) as cell,
        readers(cell, 4) as found,
        as_(cell, "ada") as speaker,
    ):
        await speaker.sub(ROOM)
        nats.pause()
        talking = asyncio.create_task(talk(speaker, 20))
        await asyncio.sleep(STILL_SECONDS)
        nats.resume()
        said = await talking
        await seen_by_all(found, said)
    assert len(feature.memory.channel(ROOM).events) == 20


async def test_a_read_loop_that_dies_is_noticed_within_10_seconds(nats, feature):
    settings, desk = Settings(frozenset()), DeskSettings("hub-1", Limits(rates=False))
    async with Cell(nats.url, settings, desk, people(), hub_only=True) as cell, readers(cell, 2) as found:
        reading = cell.client._reading_task
        assert reading is not None
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert cell.client.is_connected
        feature.memory.put(ROOM, "msg", b'{"text":"unheard"}')
        async with asyncio.timeout(10):
            await seen_by_all(found, ["unheard"])


async def test_an_event_that_is_lost_alone_is_read_before_anything_newer_is_shown(nats, feature):
    settings, desk = Settings(frozenset()), DeskSettings("hub-1", Limits(rates=False))
    async with Cell(nats.url, settings, desk, people(), hub_only=True) as cell, readers(cell, 2) as found:
        feature.memory.lose = True
        feature.memory.put(ROOM, "msg", b'{"text":"lost"}')
        feature.memory.lose = False
        feature.memory.put(ROOM, "msg", b'{"text":"heard"}')
        await seen_by_all(found, ["lost", "heard"])
        assert [each.client.gaps for each in found] == [0, 0]


async def test_a_log_made_anew_sends_its_readers_away_to_start_anew(nats, feature):
    settings, desk = Settings(frozenset()), DeskSettings("hub-1", Limits(rates=False))
    async with (
        Cell(nats.url, settings, desk, people(), hub_only=True) as cell,
        as_(cell, "ada", chance=lambda: 0.0) as ada,
        as_(cell, "bob") as bob,
    ):
        await ada.sub(CHAT)
        feature.memory.epoch = "e2"
        feature.memory.change_access(AccessChanged(CHAT))
        await bob.sub(CHAT)
        async with asyncio.timeout(LONG):
            async for update in ada.updates():
                if update.reset:
                    break

        assert ada.closes == [CloseCode.EPOCH_CHANGED]
