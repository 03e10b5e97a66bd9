"""The rules of chat. They read the fold and change nothing.

Who is who in a channel is told by the commands: the api knows a sale's merchant and who an operator is. That a
conversation belongs to two people is decided here. To everybody else it does not exist.
"""

from collections.abc import Callable
from typing import assert_never

from server.chat import text as texts
from server.chat.commands import (
    SHOWN_PEOPLE,
    Command,
    CursorsMoved,
    LookAt,
    Moderate,
    Moderated,
    ModerationShown,
    MoveCursors,
    OpenConversation,
    Opened,
    Posted,
    PostMessage,
    Refusal,
    Seen,
    ShowModeration,
)
from server.chat.evolve import mark_of
from server.chat.model import (
    MAX_WORD_CHARS,
    MAX_WORDS,
    Channel,
    ConversationOpened,
    Delivered,
    Event,
    Member,
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
    WordsBlocked,
)

Reply = Opened | Posted | Moderated | CursorsMoved | Seen | ModerationShown | Refusal
Decision = tuple[list[Event], Reply]

_NOTHING: list[Event] = []
_NOT_FOUND = Refusal("not_found", "there is no such conversation, or it is not yours")
_BAD_TEXT = Refusal("bad_request", f"a message has 1 to {texts.MAX_CHARS:,} visible characters")
_STRANGER = Member()


def decide(channel: Channel, command: Command, now: int) -> Decision:  # noqa: PLR0911 - one return a command
    """Return what happens and what to answer. Time is epoch milliseconds."""
    if isinstance(command, OpenConversation):
        return _open(channel, command, now)
    if is_conversation(command.key) and not channel.id:
        return _NOTHING, _NOT_FOUND
    match command:
        case PostMessage():
            return _post(channel, command, now)
        case Moderate():
            return _moderate(channel, command, now)
        case MoveCursors():
            return _move(channel, command, now)
        case LookAt():
            return _NOTHING, _look(channel, command, now)
        case ShowModeration():
            return _NOTHING, _moderation(channel, now)
        case _:
            assert_never(command)


def is_conversation(key: str) -> bool:
    """Tell a conversation's key from a room's."""
    return key.startswith("cnv_")


# --- opening ---------------------------------------------------------------------------------------------------


def _open(channel: Channel, command: OpenConversation, now: int) -> Decision:
    if channel.id:
        same = (channel.buyer_id, channel.merchant_id, channel.subject) == (
            command.buyer_id,
            command.merchant_id,
            command.subject,
        )
        if not same:
            return _NOTHING, Refusal("conflict", "the conversation is another one")
        return _NOTHING, Opened(command.key, created=False)
    opened = ConversationOpened(
        command.key,
        command.buyer_id,
        command.merchant_id,
        command.subject,
        command.title,
        command.buyer_name,
        now,
    )
    return [opened], Opened(command.key, created=True)


# --- saying ----------------------------------------------------------------------------------------------------


def _post(channel: Channel, command: PostMessage, now: int) -> Decision:
    if channel.id and command.author not in (channel.buyer_id, channel.merchant_id):
        return _NOTHING, _NOT_FOUND
    text = texts.clean(command.text)
    if text is None:
        return _NOTHING, _BAD_TEXT
    known = channel.keys.get(command.digest)
    if known is not None:
        if known.mark != mark_of(text):
            return _NOTHING, Refusal("key_reused", "the key was used for another message here")
        return _NOTHING, Posted(known.id, known.at, text, known.ref, replayed=True)
    refusal = _may_not_write(channel, command.author, command.role, now)
    if refusal is None and command.role == "buyer" and texts.blocked(text, channel.words):
        refusal = Refusal("blocked_words", "the message has a word that is blocked here")
    if refusal is not None:
        return _NOTHING, refusal
    posted = MessagePosted(
        command.message_id, command.author, command.author_name, command.role, text, command.digest, now
    )
    return [posted], Posted(command.message_id, now, text)


def _may_not_write(channel: Channel, user: str, role: Role, now: int) -> Refusal | None:
    """Say why a person may not write now; merchant and operators always may."""
    if role != "buyer":
        return None
    member = channel.members.get(user, _STRANGER)
    if member.banned:
        return Refusal("banned", "you may not write here any more")
    if now < member.muted_until:
        return Refusal("muted", "you may not write here for a while", member.muted_until - now)
    if channel.locked:
        return Refusal("locked", "nobody but its merchant writes here at the moment")
    ready_at = member.posted_at + channel.slow_seconds * 1000
    if channel.slow_seconds and now < ready_at:
        return Refusal("slow_mode", f"one message every {channel.slow_seconds} s", ready_at - now)
    return None


# --- moderating ------------------------------------------------------------------------------------------------


def _moderate(channel: Channel, command: Moderate, now: int) -> Decision:
    by = command.by
    if channel.id and by.role != "operator" and by.id != channel.merchant_id:
        return _NOTHING, _NOT_FOUND if by.id != channel.buyer_id else Refusal("forbidden")
    if by.role == "buyer":
        return _NOTHING, Refusal("forbidden", "only its merchant and operators moderate a room")
    decided = _DECIDE[command.action](channel, command, now)
    if isinstance(decided, Refusal):
        return _NOTHING, decided
    return decided, Moderated(bool(decided))


Moderation = list[Event] | Refusal


def _delete(channel: Channel, command: Moderate, now: int) -> Moderation:
    message = channel.messages.get(command.target)
    if message is None:
        return Refusal("not_found", "there is no such message here")
    return [] if message.deleted else [MessageDeleted(message.id, command.by, now)]


def _mute(channel: Channel, command: Moderate, now: int) -> Moderation:
    member = channel.members.get(command.target, _STRANGER)
    same = member.muted_until == command.until
    return [] if same else [MemberMuted(command.target, command.until, command.by, now)]


def _unmute(channel: Channel, command: Moderate, now: int) -> Moderation:
    member = channel.members.get(command.target, _STRANGER)
    return [MemberMuted(command.target, 0, command.by, now)] if member.muted_until else []


def _ban(channel: Channel, command: Moderate, now: int) -> Moderation:
    member = channel.members.get(command.target, _STRANGER)
    return [] if member.banned else [MemberBanned(command.target, command.by, now)]


def _unban(channel: Channel, command: Moderate, now: int) -> Moderation:
    member = channel.members.get(command.target, _STRANGER)
    return [MemberUnbanned(command.target, command.by, now)] if member.banned else []


def _slow_mode(channel: Channel, command: Moderate, now: int) -> Moderation:
    same = channel.slow_seconds == command.seconds
    return [] if same else [SlowModeSet(command.seconds, command.by, now)]


def _lock(channel: Channel, command: Moderate, now: int) -> Moderation:
    return [] if channel.locked else [RoomLocked(command.by, now)]


def _unlock(channel: Channel, command: Moderate, now: int) -> Moderation:
    return [RoomUnlocked(command.by, now)] if channel.locked else []


def _block_words(channel: Channel, command: Moderate, now: int) -> Moderation:
    words = tuple(sorted({word for w in command.words if (word := texts.folded(w).strip())}))
    if len(words) > MAX_WORDS or any(len(word) > MAX_WORD_CHARS for word in words):
        return Refusal("bad_request", f"at most {MAX_WORDS} words of {MAX_WORD_CHARS} characters")
    return [] if channel.words == words else [WordsBlocked(words, command.by, now)]


_DECIDE: dict[str, Callable[[Channel, Moderate, int], Moderation]] = {
    "delete": _delete,
    "mute": _mute,
    "unmute": _unmute,
    "ban": _ban,
    "unban": _unban,
    "slow_mode": _slow_mode,
    "lock": _lock,
    "unlock": _unlock,
    "block_words": _block_words,
}


# --- receipts and looking --------------------------------------------------------------------------------------


def _move(channel: Channel, command: MoveCursors, now: int) -> Decision:
    if not channel.id:
        return _NOTHING, Refusal("wrong_state", "a room keeps no receipts")
    if command.user not in (channel.buyer_id, channel.merchant_id):
        return _NOTHING, _NOT_FOUND
    if max(command.delivered, command.read) >= channel.end:
        return _NOTHING, Refusal("bad_request", "the position lies behind the end of the conversation")
    member = channel.members.get(command.user, _STRANGER)
    read = max(member.read, command.read)
    delivered = max(member.delivered, command.delivered, read)
    events: list[Event] = []
    if read > member.read:
        events.append(ReadUpTo(command.user, read, now))
    if delivered > max(member.delivered, read):
        events.append(Delivered(command.user, delivered, now))
    return events, CursorsMoved(delivered, read)


def _look(channel: Channel, command: LookAt, now: int) -> Reply:
    if channel.id and command.role != "operator" and command.user not in _sides(channel):
        return _NOT_FOUND
    refusal = _may_not_write(channel, command.user, command.role, now)
    return Seen(
        channel.top,
        refusal.code if refusal is not None else "",
        channel.buyer_id,
        channel.merchant_id,
        channel.subject,
        channel.title,
        channel.slow_seconds,
        channel.locked,
        {
            side: (member.delivered, member.read)
            for side in _sides(channel)
            if (member := channel.members.get(side)) is not None
        },
    )


def _moderation(channel: Channel, now: int) -> ModerationShown:
    members = channel.members.items()
    muted = [(user, member.muted_until) for user, member in members if now < member.muted_until]
    banned = [user for user, member in members if member.banned]
    return ModerationShown(
        channel.words,
        channel.slow_seconds,
        channel.locked,
        dict(muted[:SHOWN_PEOPLE]),
        banned[:SHOWN_PEOPLE],
        max(0, len(muted) - SHOWN_PEOPLE) + max(0, len(banned) - SHOWN_PEOPLE),
    )


def _sides(channel: Channel) -> tuple[str, ...]:
    return (channel.buyer_id, channel.merchant_id) if channel.id else ()
