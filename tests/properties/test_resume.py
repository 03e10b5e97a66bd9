"""Whatever is lost, repeated or swapped on the way: what clients built is what a fresh fetch would give."""

import asyncio
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.client_channels import applies
from realtime.desk import Desk, DeskSettings
from realtime.events import AccessChanged, Ack, Event, Presence, Read, Signal
from realtime.feed import MemoryFeed
from realtime.hub import Hub
from realtime.packet import Packet
from realtime.peer import Peer
from realtime.session import Limits, Session
from realtime.source import MemorySource
from realtime.tokens import KnownTokens
from tests.unit.realtime.builders import ROOM

RARE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Unreliable:
    """Between a source and a hub: loses, repeats and swaps what is told, as it is bidden."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.fate: list[str] = []
        self._kept: list[tuple[str, list[Event]]] = []

    def wants(self, key: str) -> bool:
        return self._desk.wants(key)

    def events(self, key: str, events: list[Event]) -> None:
        match self.fate.pop() if self.fate else "tell":
            case "lose":
                return
            case "keep":
                self._kept.append((key, events))
                return
            case "twice":
                self._desk.events(key, events)
        self._desk.events(key, events)
        for kept in self._kept:
            self._desk.events(*kept)
        self._kept.clear()

    def access(self, changed: AccessChanged) -> None:
        self._desk.access(changed)

    def signal(self, key: str, signal: Signal) -> None:
        self._desk.signal(key, signal)

    def presence(self, presence: Presence) -> None:
        self._desk.presence(presence)

    def revoked(self, sid: str, until: int) -> None:
        self._desk.revoked(sid, until)

    def lost_touch(self) -> None:
        self._desk.lost_touch()


class HandWire:
    """A wire of which the frames are read by hand; `cut` loses those that were not."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.open = True

    def write(self, packet: Packet) -> None:
        if self.open:
            read = json.loads(packet.payload)
            self.frames += read if isinstance(read, list) else [read]

    def buffered(self) -> int:
        return 0

    def place(self, epoch: str, position: int) -> None:
        """Is not looked at."""

    def start_close(self, code: int, retry_ms: int | None) -> None:  # noqa: ARG002 - the port's shape
        self.open = False

    def cut(self) -> None:
        self.open = False


class Client:
    """A client by the book, on connections that are cut at any moment."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.seen: list[int] = []
        self.place: tuple[str, int] | None = None
        self.connect()

    def connect(self) -> None:
        self.wire = HandWire()
        session = Session("c", "h", 0, jitter=0.5, limits=Limits(rates=False))
        self.peer = Peer(self.wire, session, self._desk)
        self._desk.enter(self.peer)
        resume = [] if self.place is None else [[ROOM, *self.place]]
        self._say("hello", {"resume": resume})
        if self.place is None:
            self._say("sub", {"ch": ROOM})

    def lose(self) -> None:
        self.wire.open = False
        self.peer.end()
        self.connect()

    def _say(self, name: str, d: dict[str, Any]) -> None:
        frame = json.dumps({"i": 1, "t": name, "d": d})
        self.peer.perform(self.peer.session.receive(frame, 0))

    def read(self, count: int | None = None) -> None:
        """Take the next frames, all of them unless told how many."""
        taken, self.wire.frames = self.wire.frames[:count], self.wire.frames[len(self.wire.frames[:count]) :]
        for frame in taken:
            self._take(frame)

    def _take(self, frame: dict[str, Any]) -> None:
        if "r" in frame and "d" in frame:
            d = frame["d"]
            state = d.get("channels", {}).get(ROOM) if "channels" in d else d
            if state:
                goes_on = (
                    self.place is not None and self.place[0] == state["epoch"] and not state.get("reset")
                )
                assert goes_on or self.place is None, "nothing was made anew"
                self.place = self.place if goes_on else (state["epoch"], state["top"])
                self.first = getattr(self, "first", state["top"])
        elif "s" in frame and self.place is not None:
            verdict = applies(self.place[1], frame["s"], frame["p"])

            assert verdict is not None, "the hub left a gap"
            assert verdict, "the hub told it twice over one connection"
            self.place = (self.place[0], frame["s"])
            self.seen.append(frame["s"])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(("tell", "lose", "twice", "keep"))),
        st.tuples(st.just("cut"), st.integers(0, 2)),
        st.tuples(st.just("read"), st.integers(0, 5)),
        st.tuples(st.just("turn"), st.integers(1, 5)),
        st.tuples(st.just("many"), st.integers(1, 300)),
    ),
    max_size=40,
)


@RARE
@given(STEPS)
def test_what_clients_built_is_what_a_fresh_fetch_gives(steps):
    asyncio.run(build(steps))


async def build(steps: list[tuple[str, Any]]) -> None:
    hub, source, feed = Hub(lambda: 0), MemorySource("e1", step=3), MemoryFeed()
    desk = Desk(DeskSettings("h"), hub, feed, source, KnownTokens({}), clock=lambda: 0)
    between = Unreliable(desk)
    source._listeners[:] = [between]
    clients = [Client(desk) for _ in range(3)]
    for what, how in steps:
        match what:
            case "put":
                between.fate = [how]
                source.put(ROOM, "msg", b"{}")
            case "many":
                for _ in range(how):
                    source.put(ROOM, "msg", b"{}")
            case "cut":
                clients[how].read()
                clients[how].lose()
            case "read":
                clients[how % 3].read(how)
            case _:
                for _ in range(how):
                    await asyncio.sleep(0)
    # In the end something is heard of, and so is everything before it.
    between.fate = []
    await settled(clients, None)
    source.put(ROOM, "msg", b"{}")
    top = source.channel(ROOM).top
    await settled(clients, top)
    fetched = [event.s for event in source.channel(ROOM).events]
    for client in clients:
        assert client.seen == [s for s in fetched if s > client.first]


async def settled(clients: list[Client], top: int | None) -> None:
    async with asyncio.timeout(5):
        while any(each.place is None or (top is not None and each.place[1] != top) for each in clients):
            await asyncio.sleep(0)
            for each in clients:
                each.read()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=30), st.randoms())
def test_cursors_are_the_same_whatever_the_order_they_arrive_in(marks, chance):
    async def last(order: list[tuple[bool, int]]) -> dict[tuple[str, str], int]:
        source = MemorySource()
        told = {True: 0, False: 0}
        for read, s in order:
            outcome = await source.act((Read if read else Ack)(ROOM, "usr_1", s))
            stands = getattr(outcome, "s", -1)

            assert stands >= told[read]
            told[read] = stands
        return source.channel(ROOM).cursors

    shuffled = list(marks)
    chance.shuffle(shuffled)
    assert asyncio.run(last(marks)) == asyncio.run(last(shuffled))
