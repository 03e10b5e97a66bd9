"""Rooms of a hub: everybody gets every event once and in order, however big the room and whatever comes meanwhile."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime import hub as hubs
from realtime.channels import keyed
from realtime.events import Event
from realtime.hub import SENDS_BETWEEN_YIELDS, SMALL_AUDIENCE, Hub
from realtime.log_channel import LogChannel
from tests.unit.realtime.builders import ROOM, RecordingSubscriber


class Room:
    """A room at a hub, and who was ever in it with the position each came at."""

    def __init__(self, people: int = 0) -> None:
        self.hub = Hub(lambda: 0)
        self.keeper = RecordingSubscriber()
        self.channel: LogChannel = self.hub.keep(keyed(ROOM), self.keeper)
        self.channel.open("e1", 0)
        self.people: list[tuple[int, RecordingSubscriber]] = []
        for _ in range(people):
            self.comes()

    def comes(self) -> RecordingSubscriber:
        subscriber = RecordingSubscriber()
        self.channel.subscribers[subscriber] = self.channel.top
        self.people.append((self.channel.top, subscriber))
        return subscriber

    def leaves(self, number: int) -> RecordingSubscriber:
        _, subscriber = self.people.pop(number)
        del self.channel.subscribers[subscriber]
        return subscriber

    def says(self, count: int = 1) -> None:
        top = self.channel.top
        told = [Event(s, s - 1, "msg", b"{}") for s in range(top + 1, top + 1 + count)]
        self.hub.take(ROOM, told)

    def has(self, subscriber: RecordingSubscriber) -> list[int]:
        return [each["s"] for each in subscriber.events]

    async def settled(self) -> None:
        while self.hub._waiting:
            await self.hub._broadcast_due()


BIG = SMALL_AUDIENCE + 2 * SENDS_BETWEEN_YIELDS


async def test_a_small_room_hears_at_once():
    room = Room(SMALL_AUDIENCE)
    room.says(2)

    assert all(room.has(each) == [1, 2] for _, each in room.people)
    assert room.channel.fresh == []


async def test_a_frame_is_made_once_for_a_big_room():
    room = Room(BIG)
    room.says(2)
    await room.settled()

    assert {id(packet) for _, each in room.people for packet in each.packets} == {
        id(room.people[0][1].packets[0])
    }
    assert all(room.has(each) == [1, 2] for _, each in room.people)


async def test_what_comes_during_a_sweep_goes_out_with_it_to_those_who_come_later_in_it():
    room = Room(BIG)
    room.says()
    sweep = asyncio.create_task(room.hub._broadcast_due())
    await asyncio.sleep(0)
    heard = [room.has(each) for _, each in room.people]
    assert heard == [[1]] * SENDS_BETWEEN_YIELDS + [[]] * (BIG - SENDS_BETWEEN_YIELDS)

    room.says()
    await sweep
    heard = [room.has(each) for _, each in room.people]
    assert heard == [[1]] * SENDS_BETWEEN_YIELDS + [[1, 2]] * (BIG - SENDS_BETWEEN_YIELDS)
    assert len(room.people[-1][1].packets) == 1

    await room.settled()
    assert all(room.has(each) == [1, 2] for _, each in room.people)
    assert room.channel.fresh == []


async def test_who_leaves_during_a_sweep_hears_no_more_and_who_comes_hears_what_is_newer():
    room = Room(BIG)
    room.says()
    sweep = asyncio.create_task(room.hub._broadcast_due())
    await asyncio.sleep(0)
    gone, come = room.leaves(BIG - 1), room.comes()
    room.says()
    await sweep
    await room.settled()

    assert room.has(gone) == []
    assert room.has(come) == [2]


async def test_a_room_that_never_stops_leaves_room_for_another():
    """A sweep is one round, so that channels take turns."""
    room = Room(BIG)
    room.says()
    for _ in range(3):
        sweep = asyncio.create_task(room.hub._broadcast_due())
        await asyncio.sleep(0)
        room.says()
        await asyncio.wait_for(sweep, 5)
        assert room.hub._waiting


@pytest.fixture(scope="module")
def turns_after_every_write():
    """Two are a small room, and the loop has a turn after every write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hubs, "SMALL_AUDIENCE", 2)
        patch.setattr(hubs, "SENDS_BETWEEN_YIELDS", 1)
        yield


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("says"), st.integers(1, 3)),
        st.tuples(st.just("comes"), st.just(0)),
        st.tuples(st.just("leaves"), st.integers(0, 9)),
        st.tuples(st.just("turns"), st.integers(1, 4)),
    ),
    max_size=60,
)


@pytest.mark.usefixtures("turns_after_every_write")
@given(people=st.integers(0, 6), actions=ACTIONS)
@settings(max_examples=200, deadline=None)
def test_everybody_hears_everything_once_in_order_for_as_long_as_they_are_there(
    people: int, actions: list[tuple[str, int]]
) -> None:
    async def run() -> None:
        room, gone = Room(people), list[tuple[int, int, RecordingSubscriber]]()
        broadcasting = asyncio.create_task(room.hub.run())
        does: dict[str, Callable[[int], object]] = {"says": room.says, "comes": lambda _: room.comes()}
        for action, number in actions:
            if action in does:
                does[action](number)
            elif action == "leaves" and room.people:
                place = number % len(room.people)
                began = room.people[place][0]
                gone.append((began, room.channel.top, room.leaves(place)))
            elif action == "turns":
                for _ in range(number):
                    await asyncio.sleep(0)
        while room.hub._waiting or room.channel.sending:  # noqa: ASYNC110 - the hub tells nobody that it is done
            await asyncio.sleep(0)
        broadcasting.cancel()

        top = room.channel.top
        assert all(room.has(each) == list(range(began + 1, top + 1)) for began, each in room.people)
        for began, ended, each in gone:
            heard = room.has(each)
            assert heard == list(range(began + 1, began + 1 + len(heard)))
            assert began + len(heard) <= ended
        assert room.channel.fresh == []

    asyncio.run(run())
