"""A log channel: no gap, no event twice, and what it has of the past."""

import json

import pytest

from realtime.channels import ChannelName
from realtime.events import Event
from realtime.log_channel import RING, LogChannel
from tests.unit.realtime.builders import SALE


def event(s: int, p: int | None = None) -> Event:
    return Event(s, s - 1 if p is None else p, "msg", b'{"i":%d}' % s)


def opened(top: int = 0) -> LogChannel:
    channel = LogChannel(ChannelName("room", SALE), 3)
    channel.open("e1", top)
    return channel


def told(channel: LogChannel) -> list[int]:
    found = [each.s for each in channel.fresh]
    channel.sent(channel.top)
    return found


def test_events_in_order_are_told_once():
    channel = opened()
    channel.take([event(1), event(2)])
    channel.take([event(2), event(1), event(3)])

    assert told(channel) == [1, 2, 3]
    assert told(channel) == []
    assert not channel.behind


def test_after_a_gap_nothing_newer_is_told_until_it_is_filled():
    channel = opened()
    channel.take([event(1), event(3), event(4)])

    assert (told(channel), channel.behind) == ([1], True)
    channel.take([event(2), event(3)])
    assert (told(channel), channel.behind) == ([2, 3], True)
    channel.take([event(4)])
    assert (told(channel), channel.behind) == ([4], False)


def test_what_came_before_it_was_opened_is_missing_and_not_lost():
    channel = LogChannel(ChannelName("room", SALE), 3)
    channel.take([event(6), event(7)])
    channel.open("e1", 5)

    assert channel.behind
    channel.take([event(6), event(7)])
    assert (told(channel), channel.behind) == ([6, 7], False)


def test_an_entry_is_the_event_as_clients_get_it():
    channel = opened()
    channel.take([Event(9, 0, 'say "hi"', b'{"text":"x"}')])
    [made] = channel.fresh

    assert json.loads(made.text) == {"n": 3, "s": 9, "p": 0, "t": 'say "hi"', "d": {"text": "x"}}


@pytest.mark.parametrize(
    ("position", "found"), ((0, None), (5, [6, 7, 8]), (7, [8]), (8, []), (99, []), (4, None))
)
def test_what_follows_a_position_is_here_or_it_is_not(position, found):
    channel = opened(5)
    channel.take([event(6), event(7), event(8)])
    after = channel.after(position)

    assert found == (None if after is None else [each.s for each in after])


def test_a_subscriber_is_owed_what_came_after_its_position_in_one_frame():
    channel = opened(5)
    channel.take([event(6), event(7), event(8)])

    [for_both] = channel.packets(6)
    assert [each["s"] for each in json.loads(for_both.payload)] == [7, 8]
    assert for_both.position == 8
    assert channel.packets(6)[0] is for_both
    assert channel.packets(8) == []
    channel.take([event(9)])
    assert [each["s"] for each in json.loads(channel.packets(6)[0].payload)] == [7, 8, 9]


def test_what_all_have_is_owed_to_nobody():
    channel = opened(5)
    channel.take([event(6), event(7), event(8)])
    channel.sent(7)

    assert [each.s for each in channel.fresh] == [8]
    assert [each.s for each in channel.after(5) or []] == [6, 7, 8]


def test_a_position_between_two_events_is_none():
    channel = opened()
    channel.take([event(10, 0), event(20, 10)])

    assert channel.after(15) is None


def test_the_ring_keeps_the_newest():
    channel = opened()
    channel.take([event(i) for i in range(1, RING + 11)])

    assert channel.after(9) is None
    assert len(channel.after(10) or []) == RING
    assert channel.unbroken()


def test_history_from_the_ring_knows_whether_there_is_more():
    channel = opened()
    assert channel.items(None, 10) is None
    channel.take([event(i) for i in range(1, 8)])
    newest, first = channel.items(None, 3), channel.items(4, 10)

    assert newest is not None
    assert first is not None
    assert ([each.s for each in newest.items], newest.more) == ([5, 6, 7], True)
    assert ([each.s for each in first.items], first.more) == ([1, 2, 3], False)
    later = opened(5)
    later.take([event(6), event(7)])
    assert later.items(None, 3) is None


def test_what_was_taken_back_is_not_served_from_memory():
    """A deleted message reached those who were there; whoever comes later asks the source, which has no text of it."""
    channel = opened(0)
    channel.take([event(1, 0), event(2, 1), Event(3, 2, "deleted", b'{"id":"msg_1"}')])
    assert [entry.s for entry in channel.fresh] == [1, 2, 3]

    assert channel.after(0) is None
    assert channel.items(None, 2) is None
    assert [entry.s for entry in channel.after(2) or ()] == [3]
