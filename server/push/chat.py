"""Pushes of messages that have not reached a person within three seconds.

Whether a message has reached somebody is decided by the conversation's own log: at the end of the three seconds it
is read to its end, and a delivered cursor that is in it by then cancels the push. Cursor and decision so have one
order, that of the log; a cursor that was acknowledged before the decision is always seen by it.
"""

from collections import OrderedDict

import msgspec

from cells.engine.project import Recorded
from cells.kernel import envelope
from cells.kernel.ids import slot_in
from cells.log import subjects
from cells.log.port import Log
from server.chat.model import (
    CONVERSATION,
    EVENTS,
    EVENTS_PER_COMMIT,
    ConversationOpened,
    Delivered,
    MessageDeleted,
    MessagePosted,
    ReadUpTo,
)
from server.push.notices import PREVIEW_CHARS, MessageNotice
from server.push.planned import Planned, Plans, Wanted

DELAY_MS = 3_000
KNOWN_SIDES = 20_000


class Sides(msgspec.Struct, frozen=True):
    """The two who talk, and what about."""

    buyer_id: str
    merchant_id: str
    title: str

    def other(self, user: str) -> str:
        """Return the one who did not write."""
        return self.merchant_id if user == self.buyer_id else self.buyer_id


class Waiting(msgspec.Struct):
    """The newest message that a person has not got, at `s`, and how many there are."""

    conversation_id: str
    s: int
    message_id: str
    author: str
    text: str
    title: str
    count: int


class ChatSource:
    """Plans one push for all that a person has missed in a conversation."""

    kind = CONVERSATION
    registry = EVENTS

    def __init__(self, log: Log) -> None:
        self._log = log
        self._sides: OrderedDict[str, Sides] = OrderedDict()

    async def take(self, commit: Recorded, plans: Plans, wanted: Wanted) -> None:
        """Plan for the other side of a message, and cancel for a cursor or a deletion."""
        for index, event in enumerate(commit.events):
            match event:
                case ConversationOpened():
                    self._know(commit.key, Sides(event.buyer_id, event.merchant_id, event.title))
                case MessagePosted():
                    await self._posted(commit, index, event, plans, wanted)
                case Delivered() | ReadUpTo():
                    planned = plans.find((commit.key, event.user))
                    if planned is not None and planned.what.s <= event.s:
                        plans.cancel(planned)
                case _:
                    pass

    async def _posted(
        self, commit: Recorded, index: int, event: MessagePosted, plans: Plans, wanted: Wanted
    ) -> None:
        sides = await self._of(commit.key)
        user = sides.other(event.author)
        if not wanted(user):
            return
        s = commit.position * EVENTS_PER_COMMIT + index
        text = event.text[:PREVIEW_CHARS]
        what = Waiting(commit.key, s, event.message_id, event.author_name, text, sides.title, 1)
        before = plans.find((commit.key, user))
        if before is None:
            plans.add(
                Planned((commit.key, user), user, event.at, event.at + DELAY_MS, [commit.position], what)
            )
            return
        what.count = before.what.count + 1
        before.what, before.at = what, event.at
        plans.join(before, commit.position)

    async def decide(self, planned: Planned) -> MessageNotice | None:
        """Read the conversation to its end: no push for what has reached the person, or is deleted."""
        what: Waiting = planned.what
        subject = subjects.subject(slot_in(what.conversation_id), self.kind, what.conversation_id)
        async for batch in self._log.read(subject, planned.positions[0] - 1):
            for stored in batch:
                for event in envelope.decode(EVENTS, stored.body).events:
                    match event:
                        case Delivered(user, s) | ReadUpTo(user, s) if (
                            user == planned.account and s >= what.s
                        ):
                            return None
                        case MessageDeleted(message_id) if message_id == what.message_id:
                            return None
                        case _:
                            pass
        return MessageNotice(
            what.conversation_id, what.message_id, what.author, what.text, what.count, what.title
        )

    async def _of(self, key: str) -> Sides:
        if key not in self._sides:
            stored = await self._first(key)
            for event in envelope.decode(EVENTS, stored).events:
                if isinstance(event, ConversationOpened):
                    self._know(key, Sides(event.buyer_id, event.merchant_id, event.title))
        self._sides.move_to_end(key)
        return self._sides[key]

    async def _first(self, key: str) -> bytes:
        async for batch in self._log.read(subjects.subject(slot_in(key), self.kind, key)):
            for stored in batch:
                commit = envelope.decode(EVENTS, stored.body)
                if any(isinstance(event, ConversationOpened) for event in commit.events):
                    return stored.body
        raise KeyError(key)

    def _know(self, key: str, sides: Sides) -> None:
        self._sides[key] = sides
        if len(self._sides) > KNOWN_SIDES:
            self._sides.popitem(last=False)
