"""How events change a room or a conversation: the only way its fold changes."""

import hashlib
from collections.abc import Callable
from typing import Any

from server.chat.model import (
    EVENTS_PER_COMMIT,
    INVISIBLE,
    Channel,
    ConversationOpened,
    Delivered,
    Event,
    Member,
    MemberBanned,
    MemberMuted,
    MemberUnbanned,
    Message,
    MessageDeleted,
    MessagePosted,
    ReadUpTo,
    RoomLocked,
    RoomUnlocked,
    SlowModeSet,
    WordsBlocked,
    WriterChanged,
)

MARK_BYTES = 8


def mark_of(text: str) -> bytes:
    """Return what the fold keeps of a text."""
    return hashlib.blake2b(text.encode(), digest_size=MARK_BYTES).digest()


def evolve(channel: Channel, event: Event, version: int) -> None:
    """Apply one event of commit `version`, in place."""
    if version != channel.version:
        channel.version, channel.index, channel.before = version, -1, channel.top
    channel.index += 1
    if not isinstance(event, INVISIBLE):
        channel.top = version * EVENTS_PER_COMMIT + channel.index
    _APPLY[type(event)](channel, event)


def _opened(channel: Channel, e: ConversationOpened) -> None:
    channel.id, channel.buyer_id, channel.merchant_id = e.conversation_id, e.buyer_id, e.merchant_id
    channel.subject, channel.title = e.subject, e.title


def _posted(channel: Channel, e: MessagePosted) -> None:
    message = Message(e.message_id, e.author, channel.top, e.at, mark_of(e.text))
    channel.messages[e.message_id] = channel.keys[e.key] = message
    _member(channel, e.author).posted_at = e.at


def _deleted(channel: Channel, e: MessageDeleted) -> None:
    channel.messages[e.message_id].deleted = True


def _muted(channel: Channel, e: MemberMuted) -> None:
    _member(channel, e.user).muted_until = e.until


def _banned(channel: Channel, e: MemberBanned) -> None:
    _member(channel, e.user).banned = True


def _unbanned(channel: Channel, e: MemberUnbanned) -> None:
    _member(channel, e.user).banned = False


def _slowed(channel: Channel, e: SlowModeSet) -> None:
    channel.slow_seconds = e.seconds


def _locked(channel: Channel, _e: RoomLocked) -> None:
    channel.locked = True


def _unlocked(channel: Channel, _e: RoomUnlocked) -> None:
    channel.locked = False


def _words_blocked(channel: Channel, e: WordsBlocked) -> None:
    channel.words = e.words


def _delivered(channel: Channel, e: Delivered) -> None:
    member = _member(channel, e.user)
    member.delivered = max(member.delivered, e.s)


def _read(channel: Channel, e: ReadUpTo) -> None:
    member = _member(channel, e.user)
    member.read = max(member.read, e.s)
    member.delivered = max(member.delivered, e.s)


def _writer_changed(_channel: Channel, _e: WriterChanged) -> None:
    """Nothing but the version moves."""


_APPLY: dict[type[Any], Callable[[Channel, Any], None]] = {
    ConversationOpened: _opened,
    MessagePosted: _posted,
    MessageDeleted: _deleted,
    MemberMuted: _muted,
    MemberBanned: _banned,
    MemberUnbanned: _unbanned,
    SlowModeSet: _slowed,
    RoomLocked: _locked,
    RoomUnlocked: _unlocked,
    WordsBlocked: _words_blocked,
    Delivered: _delivered,
    ReadUpTo: _read,
    WriterChanged: _writer_changed,
}


def _member(channel: Channel, user: str) -> Member:
    member = channel.members.get(user)
    if member is None:
        member = channel.members[user] = Member()
    return member
