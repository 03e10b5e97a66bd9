"""A talk in a real room goes on through a deploy and through whatever dies: nothing is lost or seen twice."""

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import psutil
import pytest
import uvloop

from cells.supervisor.status import ProcessStatus
from fixtures.cell import RunningCell, find
from fixtures.load.sockets_dialects import Answered, number_of, text_of
from fixtures.load.sockets_follow import Followers
from fixtures.load.sockets_ledger import Ledger
from fixtures.load.sockets_runs import hub_target, new_sale
from fixtures.seed import sign_buyers
from realtime.client import RealtimeClient
from realtime.codes import CloseCode
from tests.integration.conftest import Cell, running_cell

pytestmark = pytest.mark.timeout(150)

SPEAKERS = 32
RATE = 200.0
LONG = 60.0
STILL_SECONDS = 20.0
LOOK_SECONDS = 0.1
BUCKET_SECONDS = 0.1
# Of all who move within the spread at random, in any tenth of a second. An even stream is far below it, and so is one
# that a slow machine lets pass in lumps; a herd is all of them at once.
MOST_AT_ONCE = 0.15
# How connections end of readers that are too slow, as this process may be on a machine with other work: the hub does
# not wait for them for ever.
SLOW, LATE = f"closed with {CloseCode.SLOW}", f"closed with {CloseCode.DRAINING}"


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    with running_cell() as running:
        yield running


def found(cell: Cell) -> RunningCell:
    running = find(cell.data)
    assert running is not None
    return running


def process(cell: Cell, name: str) -> ProcessStatus | None:
    """The process as it is now; None while the cell does not serve."""
    running = find(cell.data)
    return None if running is None else running.process(name)


async def until(met: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(LONG):
        while not await asyncio.to_thread(met):  # noqa: ASYNC110 - see above
            await asyncio.sleep(LOOK_SECONDS)


class Speaker:
    """Somebody who talks at a steady pace, one message after the other, and hears the room like everybody."""

    def __init__(self, client: RealtimeClient, channel: str, ledger: Ledger) -> None:
        self.client = client
        self.said = 0
        self.heard: list[int] = []
        self._channel = channel
        self._ledger = ledger

    async def listen(self) -> None:
        async for update in self.client.updates():
            if update.t == "msg" and (number := number_of(update.value["text"])) is not None:
                self.heard.append(number)

    async def talk(self, over: asyncio.Event, chance: random.Random) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + chance.random() * SPEAKERS / RATE
        while not over.is_set():
            await asyncio.sleep(due - clock())
            number = self._ledger.intend(clock())
            s = await self.client.msg(self._channel, text_of(number))
            self._ledger.answered(Answered(number, s))
            self.said += 1
            due = max(due + SPEAKERS / RATE, clock())


class Talk:
    """A room with followers and speakers, and an account of everything that was said and heard in it."""

    def __init__(self, followers: Followers, speakers: list[Speaker], over: asyncio.Event) -> None:
        self.followers = followers
        self.speakers = speakers
        self.ledger = followers.ledger
        self._over = over

    async def go_on(self, messages: int) -> None:
        """Wait until so many more were said."""
        wanted = sum(each.said for each in self.speakers) + messages
        await until(lambda: sum(each.said for each in self.speakers) >= wanted)

    async def end(self, talking: list[asyncio.Task[None]]) -> None:
        """Stop talking, wait until everybody has heard everything, and see that it was all, once, and in order."""
        self._over.set()
        await asyncio.gather(*talking)
        said = len(self.ledger.messages)
        with contextlib.suppress(TimeoutError):
            await until(
                lambda: self.ledger.settled and all(len(each.heard) >= said for each in self.speakers)
            )

        places = {number: message.s or 0 for number, message in enumerate(self.ledger.messages)}
        assert self.ledger.violations() == {}
        assert self.ledger.counts() == {"acknowledged": said}
        for each in self.speakers:
            assert each.heard == sorted(places, key=lambda number: places[number])


@asynccontextmanager
async def talk(cell: Cell, readers: int) -> AsyncIterator[Talk]:
    """A talk that goes on while the body runs; behind it everything said has to be with everybody."""
    running, chance = found(cell), random.Random(readers)
    over, ledger = asyncio.Event(), Ledger(asyncio.get_running_loop().time)
    async with new_sale(running, "talk") as sale, AsyncExitStack() as stack:
        channel = f"room:{sale}"
        followers = await Followers.enter(hub_target(running), channel, readers, ledger, chance)
        stack.callback(followers.close)
        speakers = []
        for buyer in sign_buyers(running.config, SPEAKERS):
            client = await stack.enter_async_context(online(running, buyer.token))
            await client.sub(channel)
            speakers.append(Speaker(client, channel, ledger))
        listening = [asyncio.create_task(each.listen()) for each in speakers]
        talking = [asyncio.create_task(each.talk(over, chance)) for each in speakers]
        this = Talk(followers, speakers, over)
        await this.go_on(50)
        yield this
        await this.end(talking)
        for task in listening:
            task.cancel()


def online(running: RunningCell, token: str) -> RealtimeClient:
    async def its_token() -> str:
        return token

    return RealtimeClient(running.config.public_realtime, token=its_token)


def test_a_deploy_is_noticed_by_nobody(cell):
    """The next hub serves before the last one leaves: 2,000 readers move to it, apart, and miss nothing."""
    uvloop.run(deploy(cell))


async def deploy(cell: Cell) -> None:
    first = found(cell).process("hub").pid
    async with talk(cell, 2_000 - SPEAKERS) as room:
        assert (await asyncio.to_thread(cell.titan, "restart", "hub")).returncode == 0
        await until(lambda: (hub := process(cell, "hub")) is not None and hub.pid != first)
        # It serves, and the last one is still there for those who have not left.
        assert psutil.pid_exists(first)
        await until(lambda: not psutil.pid_exists(first))
        await room.go_on(50)

    members, moves = room.followers.members, room.followers.moves
    assert {each.goaways for each in members} == {1}
    assert {each.client.goaways for each in room.speakers} == {1}
    # Whoever kept up was in the next hub before the last connection was left, and lost none that was in use.
    assert room.followers.losses <= {SLOW, LATE}
    assert sum(not each.losses for each in members) > len(members) / 2
    at_once = Counter(int((at - moves[0]) / BUCKET_SECONDS) for at in moves)
    assert max(at_once.values()) <= MOST_AT_ONCE * len(members)


def test_a_killed_hub_is_made_up_for(cell):
    uvloop.run(kill_hub(cell))


async def kill_hub(cell: Cell) -> None:
    async with talk(cell, 200) as room:
        killed = found(cell).process("hub").pid
        os.kill(killed, signal.SIGKILL)
        await until(lambda: (hub := process(cell, "hub")) is not None and hub.pid not in {0, killed})
        await room.go_on(200)

    assert "connection lost" in room.followers.losses


def test_a_killed_nats_is_made_up_for(cell):
    uvloop.run(kill_nats(cell))


async def kill_nats(cell: Cell) -> None:
    async with talk(cell, 200) as room:
        os.kill(found(cell).process("nats").pid, signal.SIGKILL)
        await room.go_on(200)

    assert room.followers.losses <= {SLOW}


def test_a_nats_that_stands_still_is_made_up_for(cell):
    """For 20 s, of which the supervisor waits 15 and then takes it for dead."""
    uvloop.run(stop_nats(cell))


async def stop_nats(cell: Cell) -> None:
    async with talk(cell, 200) as room:
        stopped = psutil.Process(found(cell).process("nats").pid)
        stopped.suspend()
        with contextlib.suppress(psutil.TimeoutExpired):
            await asyncio.to_thread(stopped.wait, STILL_SECONDS)
        if stopped.is_running():
            stopped.resume()
        await room.go_on(200)

    assert room.followers.losses <= {SLOW}
