"""Channels: coalescing, positions and viewers, on a clock of our own."""

import asyncio

import pytest

from realtime.channels import ChannelName
from realtime.events import Shown
from realtime.hub import SENDS_BETWEEN_YIELDS, Hub
from realtime.latest import COALESCE_MS, VIEWERS_MS
from tests.unit.realtime.builders import KEY, NAME, OTHER_KEY, RecordingSubscriber, sale_shown


class Stage:
    """A hub whose time moves by hand; `at` runs what is due then."""

    def __init__(self) -> None:
        self.now = 10_000
        self.hub = Hub(lambda: self.now)

    def join(self, position: int = 1) -> RecordingSubscriber:
        subscriber = RecordingSubscriber()
        self.hub.join(NAME, subscriber, "e1", sale_shown(position))
        return subscriber

    async def after(self, ms: int) -> None:
        self.now += ms
        await self.hub._broadcast_due()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def positions(subscriber: RecordingSubscriber) -> list[tuple[int, int]]:
    return [(event["p"], event["s"]) for event in subscriber.events]


async def test_the_first_change_goes_out_at_once(stage):
    subscriber = stage.join(1)
    stage.hub.publish(KEY, sale_shown(5, available=99))
    await stage.after(0)

    assert subscriber.events == [
        {
            "n": 1,
            "s": 5,
            "p": 1,
            "t": "sale",
            "d": {
                "state": "open",
                "available": 99,
                "held": 1,
                "sold": 0,
                "stock": 100,
                "price": {"amount": 4990, "currency": "EUR"},
                "viewers": 1,
            },
        }
    ]


async def test_changes_are_coalesced_and_the_last_one_goes_out(stage):
    subscriber = stage.join(1)
    for position in range(2, 52):
        stage.hub.publish(KEY, sale_shown(position))
        await stage.after(10)
    await stage.after(COALESCE_MS)

    assert positions(subscriber) == [(1, 2), (2, 12), (12, 22), (22, 32), (32, 42), (42, 51)]


async def test_the_end_of_the_window_comes_without_another_change(stage):
    """The broadcaster itself wakes up for what waits."""
    stage = Stage()
    subscriber = stage.join(1)
    stage.hub.publish(KEY, sale_shown(2))
    await stage.after(0)
    stage.hub.publish(KEY, sale_shown(3))

    assert await stage.hub._broadcast_due() == pytest.approx(COALESCE_MS / 1000)
    await stage.after(COALESCE_MS)
    assert positions(subscriber)[-1] == (2, 3)


async def test_an_older_view_is_ignored(stage):
    subscriber = stage.join(5)
    stage.hub.publish(KEY, sale_shown(5))
    stage.hub.publish(KEY, sale_shown(4))
    await stage.after(COALESCE_MS)

    assert subscriber.events == []


async def test_a_newcomer_is_told_the_last_event_and_the_next_one_follows_it(stage):
    stage.join(1)
    stage.hub.publish(KEY, sale_shown(2, available=98))
    await stage.after(0)
    stage.hub.publish(KEY, sale_shown(3, available=97))
    newcomer = stage.join(99)
    state = stage.hub.latest(NAME).state(None, None)
    await stage.after(COALESCE_MS)

    assert (state.top, b'"available":98' in bytes(state.snapshot)) == (2, True)
    assert positions(newcomer) == [(2, 3)]


async def test_who_is_up_to_date_needs_no_snapshot(stage):
    stage.join(7)
    channel = stage.hub.latest(NAME)

    assert channel.state("e1", 7).snapshot is None
    assert channel.state("e1", 6).snapshot is not None
    assert channel.state("e0", 7).snapshot is not None


async def test_the_number_is_the_same_for_all_and_not_used_again(stage):
    first, second = stage.join(), stage.join()
    channel = stage.hub.latest(NAME)
    stage.hub.leave(channel.n, first)
    stage.hub.leave(channel.n, second)
    stage.join()

    assert stage.hub.latest(NAME).n == channel.n + 1


async def test_a_channel_without_subscribers_is_closed(stage):
    subscriber = stage.join()
    stage.hub.publish(KEY, sale_shown(2))
    stage.hub.leave(1, subscriber)
    stage.hub.leave(1, subscriber)
    await stage.after(COALESCE_MS)

    assert stage.hub.latest(NAME) is None
    assert list(stage.hub.names()) == []
    assert subscriber.events == []


async def test_one_who_leaves_hears_nothing_more(stage):
    leaver, stayer = stage.join(), stage.join()
    stage.hub.publish(KEY, sale_shown(2))
    stage.hub.leave(1, leaver)
    await stage.after(0)

    assert leaver.events == []
    assert positions(stayer) == [(1, 2)]


async def test_sales_that_nobody_watches_are_ignored(stage):
    subscriber = stage.join()
    stage.hub.publish(OTHER_KEY, sale_shown(2))
    await stage.after(COALESCE_MS)

    assert subscriber.events == []


async def test_a_change_of_viewers_alone_makes_no_position(stage):
    first = stage.join(1)
    second = stage.join(1)
    await stage.after(VIEWERS_MS - COALESCE_MS - 1)
    quiet = list(first.events)
    await stage.after(1)

    assert quiet == []
    assert positions(first) == positions(second) == [(1, 1)]
    assert first.events[0]["d"]["viewers"] == 2
    await stage.after(10 * VIEWERS_MS)
    assert len(first.events) == 1


async def test_viewers_ride_on_the_next_event(stage):
    first = stage.join(1)
    stage.join(1)
    stage.hub.publish(KEY, sale_shown(2))
    await stage.after(0)
    await stage.after(10 * VIEWERS_MS)

    assert [event["d"]["viewers"] for event in first.events] == [2]


async def test_viewers_who_come_and_go_are_not_worth_an_event(stage):
    first = stage.join(1)
    second = stage.join(1)
    stage.hub.leave(1, second)
    await stage.after(10 * VIEWERS_MS)

    assert first.events == []


async def test_a_steady_stream_of_viewers_does_not_put_off_the_count(stage):
    first = stage.join(1)
    for _ in range(50):
        stage.join(1)
        await stage.after(100)

    assert [event["d"]["viewers"] for event in first.events] == [20, 40]


async def test_where_nobody_is_counted_who_comes_and_goes_changes_nothing(stage):
    cell, first = ChannelName("ops", "cell"), RecordingSubscriber()
    stage.hub.join(cell, first, "e1", Shown(1, b'{"x":1}'))
    stage.hub.join(cell, RecordingSubscriber(), "e1", Shown(1, b'{"x":1}'))
    await stage.after(10 * VIEWERS_MS)
    assert first.events == []

    stage.hub.publish("ops:cell", Shown(2, b'{"x":2}'))
    await stage.after(0)
    assert first.events == [{"n": 1, "s": 2, "p": 1, "t": "ops", "d": {"x": 2}}]


async def test_a_frame_is_encoded_once_for_all(stage):
    keepers = [stage.join(1) for _ in range(3)]
    stage.hub.publish(KEY, sale_shown(2))
    await stage.after(0)

    assert keepers[0].packets[0] is keepers[1].packets[0] is keepers[2].packets[0]


async def test_a_big_room_lets_others_have_a_turn(stage):
    subscribers = [stage.join(1) for _ in range(2 * SENDS_BETWEEN_YIELDS)]
    stage.hub.publish(KEY, sale_shown(2))
    broadcast = asyncio.create_task(stage.hub._broadcast_due())
    await asyncio.sleep(0)

    assert sum(len(each.events) for each in subscribers) == SENDS_BETWEEN_YIELDS
    await broadcast
    assert sum(len(each.events) for each in subscribers) == 2 * SENDS_BETWEEN_YIELDS


async def test_a_log_made_anew_forgets_every_channel(stage):
    subscriber = stage.join(100)
    stage.hub.publish(KEY, sale_shown(101))
    stage.hub.close_channels()
    await stage.after(COALESCE_MS)
    stage.hub.leave(1, subscriber)

    assert stage.hub.latest(NAME) is None
    assert subscriber.events == []
