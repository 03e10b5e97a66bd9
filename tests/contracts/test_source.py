"""What every log source keeps, in memory and over a real nats-server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cells.log import connection
from realtime.events import (
    AccessChanged,
    Ack,
    Done,
    Event,
    Holder,
    Join,
    PageRequest,
    Presence,
    Read,
    Refused,
    Say,
    Signal,
)
from realtime.source import LogSource, MemorySource, SourceUnavailable
from realtime.source_nats import NatsSource
from tests.contracts.log_feature import LogFeature
from tests.integration.nats_process import NatsProcess
from tests.unit.realtime.builders import CHAT, ROOM

ME = "me:usr_ada"
SOON = 5.0


class Heard:
    """A listener that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.unwanted: set[str] = set()
        self._news = asyncio.Event()

    def wants(self, key: str) -> bool:
        return key not in self.unwanted

    def events(self, key: str, events: list[Event]) -> None:
        self._note(*((key, each) for each in events if key not in self.unwanted))

    def access(self, changed: AccessChanged) -> None:
        self._note(changed)

    def signal(self, key: str, signal: Signal) -> None:
        self._note((key, signal))

    def presence(self, presence: Presence) -> None:
        self._note(presence)

    def revoked(self, sid: str, until: int) -> None:
        self._note((sid, until))

    def lost_touch(self) -> None:
        self._note("lost touch")

    def _note(self, *told: object) -> None:
        self.told += told
        self._news.set()

    async def until(self, count: int) -> list[object]:
        async with asyncio.timeout(SOON):
            while len(self.told) < count:
                self._news.clear()
                await self._news.wait()
        return self.told


class Subject:
    """A source under test, the memory behind it, and who listens."""

    def __init__(self, source: LogSource, memory: MemorySource) -> None:
        self.source = source
        self.memory = memory
        self.heard = Heard()
        source.hears(self.heard)


@asynccontextmanager
async def over_nats(tmp_path) -> AsyncIterator[Subject]:
    async with NatsProcess(tmp_path) as process:
        feature = LogFeature(await connection.connect(process.url, "feature"))
        await feature.start()
        client = await connection.connect(process.url, "hub")
        source = NatsSource(client, "c1")
        subject = Subject(source, feature.memory)
        await source.start()
        await client.flush()
        yield subject
        await connection.close(client)
        await connection.close(feature.client)


@pytest.fixture(params=("memory", "nats"))
async def subject(request, tmp_path) -> AsyncIterator[Subject]:
    if request.param == "memory":
        memory = MemorySource("e1", step=10)
        yield Subject(memory, memory)
    else:
        async with over_nats(tmp_path) as made:
            yield made


@pytest.mark.parametrize("key", (ROOM, CHAT, ME))
async def test_events_are_told_in_order_as_they_were_put(subject, key):
    put = [subject.memory.put(key, "msg", b'{"i":%d}' % i) for i in range(50)]

    assert await subject.heard.until(50) == [(key, event) for event in put]
    assert [event.p for event in put] == [0, *(event.s for event in put[:-1])]


async def test_a_channel_that_nobody_wants_is_not_told(subject):
    subject.heard.unwanted.add(ROOM)
    subject.memory.put(ROOM, "msg", b"{}")
    put = subject.memory.put(CHAT, "msg", b"{}")

    assert await subject.heard.until(1) == [(CHAT, put)]


@pytest.mark.parametrize("key", (ROOM, ME))
async def test_a_join_answers_where_the_channel_stands(subject, key):
    put = subject.memory.put(key, "msg", b"{}")
    admission = await subject.source.join(Join(key, "usr_ada", "buyer"))

    assert (admission.code, admission.epoch, admission.top) == (None, "e1", put.s)
    assert admission.can_write
    assert not (await subject.source.join(Join(key))).can_write


async def test_who_was_denied_hears_the_code(subject):
    subject.memory.denied[CHAT, "usr_bob"] = "banned"

    assert (await subject.source.join(Join(CHAT, "usr_bob", "buyer"))).code == "banned"


@pytest.mark.parametrize(
    ("asked", "positions", "more"),
    (
        ({"after": 0, "limit": 2}, [10, 20], True),
        ({"after": 30, "limit": 9}, [40, 50], False),
        ({"after": 50, "limit": 9}, [], False),
        ({"before": 30, "limit": 9}, [10, 20], False),
        ({"before": 50, "limit": 2}, [30, 40], True),
        ({"limit": 2}, [40, 50], True),
    ),
)
@pytest.mark.parametrize("key", (ROOM, ME))
async def test_pages_are_consecutive_and_say_whether_there_is_more(subject, key, asked, positions, more):
    for _ in range(5):
        subject.memory.put(key, "msg", b"{}")
    page = await subject.source.page(PageRequest(key, **asked))

    assert ([event.s for event in page.events], page.more, page.epoch) == (positions, more, "e1")
    assert [event.p for event in page.events] == [s - 10 for s in positions]


async def test_tops_of_all_kinds_are_answered_in_the_order_asked(subject):
    for count, key in enumerate((ROOM, CHAT, ME)):
        for _ in range(count):
            subject.memory.put(key, "msg", b"{}")

    assert await subject.source.tops([ME, ROOM, CHAT]) == [20, 0, 10]


async def test_a_repeat_of_an_act_has_no_second_effect(subject):
    said = Say(CHAT, "usr_ada", "Ada", "buyer", "k1", "hello")
    outcomes = await asyncio.gather(*(subject.source.act(said) for _ in range(5)))

    assert outcomes == [Done(10)] * 5
    assert await subject.source.act(Say(CHAT, "usr_bob", "Bob", "buyer", "k1", "hello")) == Done(20)


async def test_cursors_do_not_go_back(subject):
    for act, place in ((Ack, "ack"), (Read, "read")):
        for s in (10, 30, 20):
            await subject.source.act(act(CHAT, "usr_ada", s))

        assert subject.memory.channel(CHAT).cursors["usr_ada", place] == 30


async def test_an_act_that_is_refused_says_why(subject):
    subject.memory.denied[CHAT, "usr_bob"] = "muted"

    assert await subject.source.act(Say(CHAT, "usr_bob", "Bob", "buyer", "k", "x")) == Refused("muted")


async def test_a_key_is_its_holders_or_nobodys(subject):
    subject.memory.holders["tk_1.ä"] = Holder("opr_1", "viewer", "Ada")

    assert await subject.source.holder("tk_1.ä") == Holder("opr_1", "viewer", "Ada")
    assert await subject.source.holder("tk_2.x") is None


async def test_signals_presence_access_and_ended_sign_ins_are_told(subject):
    signal, presence = Signal("typing", "usr_ada", b"{}"), Presence("h1", {CHAT: 2}, {CHAT: ("usr_ada",)})
    changed = AccessChanged(CHAT, "usr_bob", "banned")
    await subject.source.signal(CHAT, signal)
    await subject.heard.until(1)
    await subject.source.presence(presence)
    await subject.heard.until(2)
    subject.memory.change_access(changed)
    await subject.heard.until(3)
    subject.memory.revoke("s1", 99)

    assert await subject.heard.until(4) == [(CHAT, signal), presence, changed, ("s1", 99)]


async def test_without_anybody_who_answers_it_is_unavailable_in_time(tmp_path):
    async with over_nats(tmp_path / "x") as subject:
        started = asyncio.get_running_loop().time()
        await subject.source.join(Join(ROOM))
        lonely = NatsSource(subject.source.client, "c2")  # type: ignore[attr-defined]
        asked = (lonely.page(PageRequest(ROOM)), lonely.holder("tk_1.x"))
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(outcome, SourceUnavailable)

        assert asyncio.get_running_loop().time() - started < 3
