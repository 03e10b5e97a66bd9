"""What channels tell their readers of events: type and body, and the chain of positions."""

from collections.abc import Sequence
from typing import Any

import msgspec

from cells.kernel.clock import rfc3339
from realtime import events as wire
from server.chat.model import (
    EVENTS_PER_COMMIT,
    INVISIBLE,
    ConversationOpened,
    Delivered,
    Event,
    MemberBanned,
    MemberMuted,
    MemberUnbanned,
    MessageDeleted,
    MessagePosted,
    ReadUpTo,
    Role,
    RoomLocked,
    RoomUnlocked,
    SlowModeSet,
)

MESSAGE = "msg"


class Author(msgspec.Struct, frozen=True):
    """Who wrote a message."""

    id: str
    name: str
    role: Role


class MessageBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """`msg`. A deleted message has neither text nor author."""

    id: str
    author: Author | None = None
    text: str = ""
    at: str = ""
    deleted: bool = False


class DeletedBody(msgspec.Struct, frozen=True):
    """`deleted`: the message with this id is to be shown no more. `by` is the moderator's role."""

    id: str
    by: Role


class MemberBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """`muted` (until a time; without one it is lifted), `banned`, `unbanned`."""

    user: str
    until: str | None = None


class SlowModeBody(msgspec.Struct, frozen=True):
    """`slow_mode`."""

    seconds: int


class CursorBody(msgspec.Struct, frozen=True):
    """`delivered`, `read`: up to this position."""

    user: str
    s: int


class OpenedBody(msgspec.Struct, frozen=True):
    """`opened`: the first event of a conversation."""

    buyer_id: str
    merchant_id: str
    subject: str
    title: str
    at: str


class NoBody(msgspec.Struct, frozen=True):
    """`locked`, `unlocked`."""


ROOM_BODIES: dict[str, type[msgspec.Struct]] = {
    MESSAGE: MessageBody,
    "deleted": DeletedBody,
    "muted": MemberBody,
    "banned": MemberBody,
    "unbanned": MemberBody,
    "slow_mode": SlowModeBody,
    "locked": NoBody,
    "unlocked": NoBody,
}
"""What rooms tell, by type."""

BODIES = ROOM_BODIES | {"opened": OpenedBody, "delivered": CursorBody, "read": CursorBody}
"""What conversations tell, by type."""

_encode = msgspec.json.Encoder().encode


def body_of(event: Event) -> tuple[str, msgspec.Struct]:  # noqa: C901, PLR0911 - one line an event
    """Return type and body of a visible event."""
    match event:
        case MessagePosted():
            author = Author(event.author, event.author_name, event.role)
            return MESSAGE, MessageBody(event.message_id, author, event.text, rfc3339(event.at))
        case MessageDeleted(message_id, by):
            return "deleted", DeletedBody(message_id, by.role)
        case MemberMuted(user, until):
            return "muted", MemberBody(user, rfc3339(until) if until else None)
        case MemberBanned(user):
            return "banned", MemberBody(user)
        case MemberUnbanned(user):
            return "unbanned", MemberBody(user)
        case SlowModeSet(seconds):
            return "slow_mode", SlowModeBody(seconds)
        case RoomLocked():
            return "locked", NoBody()
        case RoomUnlocked():
            return "unlocked", NoBody()
        case Delivered(user, s):
            return "delivered", CursorBody(user, s)
        case ReadUpTo(user, s):
            return "read", CursorBody(user, s)
        case ConversationOpened():
            opened = OpenedBody(
                event.buyer_id, event.merchant_id, event.subject, event.title, rfc3339(event.at)
            )
            return "opened", opened
        case _:
            msg = f"{type(event).__name__} is told to nobody"
            raise TypeError(msg)


def tombstone(message_id: str) -> bytes:
    """Return the body that a deleted message leaves, so that the chain of positions stays whole."""
    return _encode(MessageBody(message_id, deleted=True))


class Shown(msgspec.Struct, frozen=True):
    """An event of a channel, and the message that it is."""

    event: wire.Event
    message_id: str = ""
    author: str = ""


def shown(events: Sequence[Any], position: int, previous: int) -> list[Shown]:
    """Return the visible events of a commit at `position`; `previous` is the channel's `s` before it."""
    found = []
    for index, event in enumerate(events):
        if isinstance(event, INVISIBLE):
            continue
        s = position * EVENTS_PER_COMMIT + index
        kind, body = body_of(event)
        framed = wire.Event(s, previous, kind, _encode(body))
        if isinstance(event, MessagePosted):
            found.append(Shown(framed, event.message_id, event.author))
        else:
            found.append(Shown(framed))
        previous = s
    return found
