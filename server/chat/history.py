"""The past of rooms and conversations: from the tables, and from the log what these do not have yet.

So a page has every event that was acknowledged before it was asked for. Deleted messages are tombstones in it.
"""

from collections.abc import Sequence

import msgspec

from cells.engine.project import StoreUnavailable
from cells.kernel import envelope
from cells.kernel.ids import slot_in
from cells.log import subjects
from cells.log.port import Log
from realtime.events import Event
from server.chat.decide import is_conversation
from server.chat.frames import MESSAGE, Shown, shown, tombstone
from server.chat.model import CONVERSATION, EVENTS, EVENTS_PER_COMMIT, ROOM, MessageDeleted
from server.store import engine
from server.store.engine import Connection

BORROW_SECONDS = 1.0

_STAND = """
    SELECT coalesce((SELECT position FROM checkpoint WHERE name = 'feed'), 0) AS position,
           coalesce((SELECT s FROM chat_events WHERE channel = $1 ORDER BY s DESC LIMIT 1), 0) AS top"""
_BACKWARD = """
    SELECT s, p, t, d, message_id FROM chat_events
    WHERE channel = $1 AND s < $2 AND s <= $3 AND (NOT $4 OR (t = 'msg' AND NOT deleted))
    ORDER BY s DESC LIMIT $5"""
_FORWARD = """
    SELECT s, p, t, d, message_id FROM chat_events WHERE channel = $1 AND s > $2 AND s <= $3
    ORDER BY s LIMIT $4"""
_TOPS = """
    SELECT coalesce((SELECT s FROM chat_events e WHERE e.channel = a.channel ORDER BY s DESC LIMIT 1), 0) AS s
    FROM unnest($1::text[]) WITH ORDINALITY AS a (channel, n) ORDER BY a.n"""

Past = tuple[tuple[Event, ...], bool]


class _Tail(msgspec.Struct):
    """What the log has behind the tables."""

    events: list[Shown] = []
    deleted: set[str] = set()

    def take(self, events: Sequence[object], position: int, previous: int) -> int:
        found = shown(events, position, previous)
        self.events += found
        self.deleted |= {e.message_id for e in events if isinstance(e, MessageDeleted)}
        return found[-1].event.s if found else previous

    def scrubbed(self, events: Sequence[Shown]) -> list[Event]:
        return [
            msgspec.structs.replace(e.event, d=tombstone(e.message_id))
            if e.message_id in self.deleted
            else e.event
            for e in events
        ]


class History:
    """Reads channels by key. Raises `Rejected` (unavailable) and `LogUnavailable`."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def before(self, key: str, before: int | None, limit: int, *, messages: bool = False) -> Past:
        """Return the events before a position or the newest ones, oldest first; whether there are older ones.

        `messages`: only messages that are not deleted.
        """
        end = before if before is not None else 1 << 53
        async with engine.query() as connection:
            position, top = await _stand(connection, key)
            rows = await connection.fetch(_BACKWARD, key, end, top, messages, limit + 1)
        tail = await self._tail(key, position, top)
        found = [_of(row) for row in reversed(rows)] + [e for e in tail.events if e.event.s < end]
        if messages:
            found = [e for e in found if e.event.t == MESSAGE and e.message_id not in tail.deleted]
        return tuple(tail.scrubbed(found[-limit:])), len(found) > limit

    async def after(self, key: str, after: int, limit: int) -> Past:
        """Return the events after a position, oldest first; whether there are newer ones.

        Without Postgres they are read from the log alone, where a deletion may still lie ahead of the page.
        """
        try:
            async with engine.connection(BORROW_SECONDS) as connection:
                position, top = await _stand(connection, key)
                rows = await connection.fetch(_FORWARD, key, after, top, limit + 1)
        except StoreUnavailable:
            return await self._after_in_log(key, after, limit)
        found = [_of(row) for row in rows]
        tail = await self._tail(key, position, top)
        if len(found) <= limit:
            found += [e for e in tail.events if e.event.s > after]
        return tuple(tail.scrubbed(found[:limit])), len(found) > limit

    async def tops(self, keys: Sequence[str]) -> list[int]:
        """Return where channels stand in the tables, which may lag."""
        async with engine.query() as connection:
            return [row["s"] for row in await connection.fetch(_TOPS, list(keys))]

    async def _tail(self, key: str, position: int, top: int) -> _Tail:
        tail = _Tail([], set())
        subject = subject_of(key)
        newest = await self._log.last(subject)
        if newest is None or newest.position <= position:
            return tail
        async for batch in self._log.read(subject, position):
            for stored in batch:
                events = envelope.decode(EVENTS, stored.body).events
                top = tail.take(events, stored.position, top)
        return tail

    async def _after_in_log(self, key: str, after: int, limit: int) -> Past:
        tail = _Tail([], set())
        previous = after
        async for batch in self._log.read(subject_of(key), max(0, after // EVENTS_PER_COMMIT - 1)):
            for stored in batch:
                events = envelope.decode(EVENTS, stored.body).events
                found = [e for e in shown(events, stored.position, 0) if e.event.s > after]
                for each in found:
                    chained = msgspec.structs.replace(each.event, p=previous)
                    tail.events.append(msgspec.structs.replace(each, event=chained))
                    previous = each.event.s
                tail.deleted |= {e.message_id for e in events if isinstance(e, MessageDeleted)}
            if len(tail.events) > limit:
                break
        return tuple(tail.scrubbed(tail.events[:limit])), len(tail.events) > limit


def subject_of(key: str) -> str:
    """Return the log's subject of a channel."""
    return subjects.subject(slot_in(key), CONVERSATION if is_conversation(key) else ROOM, key)


async def _stand(connection: Connection, key: str) -> tuple[int, int]:
    row = await connection.fetchrow(_STAND, key)
    return row["position"], row["top"]


def _of(row: dict[str, object]) -> Shown:
    return Shown(Event(row["s"], row["p"], row["t"], row["d"].encode()), row["message_id"])  # type: ignore[arg-type,attr-defined]  # asyncpg's rows have no types
