"""The past of a channel without Postgres: what a hub needs to go on comes from the log alone."""

from typing import Any

import msgspec
import pytest

from cells.kernel import envelope, ids
from cells.kernel.errors import Rejected
from cells.log.memory import MemoryLog
from server.chat.history import History, subject_of
from server.chat.model import EVENTS, EVENTS_PER_COMMIT, MessageDeleted, WordsBlocked
from tests.unit.server.chat.past import BY, T0, said

SAL = ids.new_id("sal", 7, T0, bytes(10))


async def history(*commits: list[Any]) -> History:
    log, last = MemoryLog(), 0
    for version, events in enumerate(commits, start=1):
        body = envelope.encode(EVENTS, version, T0, bytes(32), events)
        await log.append(subject_of(SAL), body, last)
        last = version
    return History(log)


def s(position: int, index: int = 0) -> int:
    return position * EVENTS_PER_COMMIT + index


async def test_what_was_missed_follows_without_a_gap() -> None:
    past = await history(
        [said("msg_1"), said("msg_2")], [WordsBlocked(("x",), BY, T0)], [said("msg_3")], [said("msg_4")]
    )
    events, more = await past.after(SAL, s(1), 2)
    assert ([(e.s, e.p) for e in events], more) == ([(s(1, 1), s(1)), (s(3), s(1, 1))], True)
    events, more = await past.after(SAL, s(3), 2)
    assert ([(e.s, e.p) for e in events], more) == ([(s(4), s(3))], False)
    assert await past.after(SAL, s(4), 2) == ((), False)


async def test_what_was_deleted_within_reach_is_a_tombstone() -> None:
    past = await history([said("msg_1", text="secret")], [MessageDeleted("msg_1", BY, T0)])
    (message, deletion), _ = await past.after(SAL, 0, 10)
    assert msgspec.json.decode(message.d) == {"id": "msg_1", "deleted": True}
    assert deletion.t == "deleted"


async def test_older_pages_wait_for_postgres() -> None:
    past = await history([said("msg_1")])
    with pytest.raises(Rejected) as caught:
        await past.before(SAL, None, 10)
    assert caught.value.code == "unavailable"
