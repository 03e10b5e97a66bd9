"""The tables of chat, kept up with the log: every visible event of a channel, and conversations as lists want them."""

from collections.abc import Sequence

import msgspec

from cells.engine.project import Recorded
from realtime.events import Event
from server.chat.fold import Conversation, Unread
from server.chat.frames import shown, tombstone
from server.chat.model import CONVERSATION, EVENTS_PER_COMMIT, MessageDeleted, ReadUpTo
from server.feed.model import Entry, UnreadNews
from server.store.engine import Connection

TABLES = ("chat_events", "conversations")

EVENT_COLUMNS = ("channel", "s", "p", "t", "d", "message_id", "author", "deleted")
COLUMNS = tuple(f for f in Conversation.__struct_fields__ if f != "waiting")

_ENDS = "SELECT channel, max(s) AS s FROM chat_events WHERE channel = ANY($1::text[]) GROUP BY channel"
_LOAD = "SELECT * FROM conversations WHERE id = ANY($1::text[])"
_WAITING = """
    SELECT e.channel, e.s, e.author, e.message_id FROM chat_events e JOIN conversations c ON c.id = e.channel
    WHERE c.id = ANY($1::text[]) AND c.buyer_unread + c.merchant_unread > 0 AND NOT e.deleted
      AND ((e.author = c.buyer_id AND e.s > c.merchant_read) OR (e.author = c.merchant_id AND e.s > c.buyer_read))
    ORDER BY e.s"""
_FORGET = "DELETE FROM conversations WHERE id = ANY($1::text[])"
_DELETE = """
    UPDATE chat_events SET d = u.d, deleted = true
    FROM unnest($1::text[], $2::text[], $3::text[]) AS u (channel, message_id, d)
    WHERE chat_events.message_id = u.message_id AND chat_events.channel = u.channel"""


class _Row(msgspec.Struct):
    channel: str
    event: Event
    message_id: str
    author: str
    deleted: bool = False


class _Changes(msgspec.Struct):
    """What a batch comes to. `deleted` are messages of earlier batches."""

    ends: dict[str, int]
    conversations: dict[str, Conversation]
    rows: list[_Row] = []
    messages: dict[str, _Row] = {}
    deleted: list[tuple[str, str]] = []
    entries: list[Entry] = []

    def take(self, commit: Recorded) -> None:
        conversation = None
        if commit.kind == CONVERSATION:
            conversation = self.conversations.setdefault(commit.key, Conversation(commit.key))
        for each in shown(commit.events, commit.position, self.ends.get(commit.key, 0)):
            row = _Row(commit.key, each.event, each.message_id, each.author)
            self.ends[commit.key] = each.event.s
            self.rows.append(row)
            if each.message_id:
                self.messages[each.message_id] = row
        for index, event in enumerate(commit.events):
            if isinstance(event, MessageDeleted):
                self._delete(commit.key, event.message_id)
            if conversation is not None:
                s = commit.position * EVENTS_PER_COMMIT + index
                changed = conversation.apply(event, s)
                if changed is not None:
                    user, unread = changed
                    self.entries.append(Entry(commit.position, user, UnreadNews(commit.key, unread)))

    def _delete(self, channel: str, message_id: str) -> None:
        row = self.messages.get(message_id)
        if row is None:
            self.deleted.append((channel, message_id))
        else:
            row.event = msgspec.structs.replace(row.event, d=tombstone(message_id))
            row.deleted = True


async def apply(connection: Connection, batch: Sequence[Recorded]) -> list[Entry]:
    """Write what commits of channels led to, and return what it is to the people in them."""
    if not batch:
        return []
    channels = list({commit.key for commit in batch})
    conversations = await _load(connection, [c for c in batch if c.kind == CONVERSATION])
    ends = {row["channel"]: row["s"] for row in await connection.fetch(_ENDS, channels)}
    changes = _Changes(ends, conversations)
    for commit in batch:
        changes.take(commit)
    await _store(connection, changes)
    return changes.entries


async def _load(connection: Connection, batch: Sequence[Recorded]) -> dict[str, Conversation]:
    if not batch:
        return {}
    rows = await connection.fetch(_LOAD, list({commit.key for commit in batch}))
    found = {row["id"]: Conversation(**{column: row[column] for column in COLUMNS}) for row in rows}
    counted = {c.key for c in batch if any(isinstance(e, ReadUpTo | MessageDeleted) for e in c.events)}
    if counted:
        for row in await connection.fetch(_WAITING, list(counted)):
            found[row["channel"]].waiting.append(Unread(row["s"], row["author"], row["message_id"]))
    return found


async def _store(connection: Connection, changes: _Changes) -> None:
    rows = [
        (r.channel, r.event.s, r.event.p, r.event.t, r.event.d.decode(), r.message_id, r.author, r.deleted)
        for r in changes.rows
    ]
    await connection.copy_records_to_table("chat_events", records=rows, columns=EVENT_COLUMNS)
    if changes.deleted:
        await connection.execute(
            _DELETE,
            [channel for channel, _ in changes.deleted],
            [message_id for _, message_id in changes.deleted],
            [tombstone(message_id).decode() for _, message_id in changes.deleted],
        )
    if changes.conversations:
        await connection.execute(_FORGET, list(changes.conversations))
        records = [tuple(getattr(c, column) for column in COLUMNS) for c in changes.conversations.values()]
        await connection.copy_records_to_table("conversations", records=records, columns=COLUMNS)
