"""What channels tell of events: a chain without a gap, and nothing that nobody is to know."""

import msgspec

from server.chat.frames import shown
from server.chat.model import MemberMuted, MessageDeleted, SlowModeSet, WordsBlocked
from tests.unit.server.chat.past import BY, OPENED, OTHER, T0, said


def test_the_events_of_a_commit_are_chained_and_the_hidden_ones_left_out() -> None:
    events = [OPENED, WordsBlocked(("x",), BY, T0), said("msg_1"), MessageDeleted("msg_1", BY, T0)]
    told = [each.event for each in shown(events, 3, 1024)]
    assert [(e.s, e.p, e.t) for e in told] == [
        (3072, 1024, "opened"),
        (3074, 3072, "msg"),
        (3075, 3074, "deleted"),
    ]


def test_a_message_tells_who_said_what_and_when() -> None:
    event = shown([said("msg_1", text='<b>"')], 1, 0)[0].event
    assert msgspec.json.decode(event.d) == {
        "id": "msg_1",
        "author": {"id": "usr_b", "name": "Name", "role": "buyer"},
        "text": '<b>"',
        "at": "2027-01-15T08:00:00.000Z",
    }


def test_why_somebody_was_muted_is_not_told_to_the_room() -> None:
    event = shown([MemberMuted(OTHER, T0 + 1, BY, T0)], 1, 0)[0].event
    assert msgspec.json.decode(event.d) == {"user": OTHER, "until": "2027-01-15T08:00:00.001Z"}
    assert shown([SlowModeSet(0, BY, T0)], 1, 0)[0].event.d == b'{"seconds":0}'
