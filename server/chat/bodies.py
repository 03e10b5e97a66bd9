"""What chat looks like to clients over HTTP."""

from typing import Annotated

import msgspec

from server.chat.commands import MAX_MUTE_SECONDS, Action
from server.chat.frames import Author
from server.chat.model import MAX_WORD_CHARS, MAX_WORDS
from server.chat.text import MAX_CHARS, MAX_RAW_CHARS
from server.web.text import Reason, When

# The rules count what is left when invisible characters are gone.
Text = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_RAW_CHARS,
        description=f"1 to {MAX_CHARS:,} characters after NFC; control and bidirectional characters are dropped",
    ),
]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Position = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_WORD_CHARS)]


class NewConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to talk about: exactly one of the four ids. `text` is a first message."""

    merchant_id: Id | None = None
    product_id: Id | None = None
    order_id: Id | None = None
    sale_id: Id | None = None
    text: Text | None = None


class NewMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to say."""

    text: Text


class ReadCursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything up to this position was read."""

    s: Position


class Moderation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a moderator does, and why.

    `target` is a message for `delete` and an account for `mute`, `unmute`, `ban` and `unban`; `seconds` is for
    `mute` and `slow_mode` (0 lifts it); `words` replaces the words that `block_words` refuses.
    """

    action: Action
    target: Id | None = None
    seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_MUTE_SECONDS)] | None = None
    words: Annotated[list[Word], msgspec.Meta(max_length=MAX_WORDS)] | None = None
    reason: Reason = ""


class Moderated(msgspec.Struct, frozen=True):
    """Whether anything is different now."""

    changed: bool


class MutedAccount(msgspec.Struct, frozen=True):
    """An account that may not write for a while."""

    id: str
    until: When


class RoomModeration(msgspec.Struct, frozen=True):
    """What moderators have decided in a room. `more` counts accounts that are left out of `muted` and `banned`."""

    sale_id: str
    locked: bool
    slow_mode_seconds: int
    blocked_words: list[str]
    muted: list[MutedAccount]
    banned: list[str]
    more: int


class MessageView(msgspec.Struct, frozen=True):
    """A message at position `s`."""

    id: str
    s: int
    author: Author
    text: str
    at: When


class MessagePage(msgspec.Struct, frozen=True):
    """Messages in the order in which they were said; `next` is the `before` of the page of older ones."""

    items: list[MessageView]
    next: int | None


class OpenedConversation(msgspec.Struct, frozen=True):
    """A conversation that exists; `message` is the first message that was sent along."""

    id: str
    buyer_id: str
    merchant_id: str
    subject: str | None
    title: str
    message: MessageView | None = None


class LastMessage(msgspec.Struct, frozen=True):
    """The beginning of a conversation's newest message. `text` is empty when it was deleted."""

    id: str
    author_id: str
    text: str
    at: When


class ConversationBody(msgspec.Struct, frozen=True):
    """A conversation as one of its sides sees it. `read` and `active` are positions."""

    id: str
    buyer_id: str
    buyer_name: str
    merchant_id: str
    subject: str | None
    title: str
    created_at: When
    last: LastMessage | None
    unread: int
    read: int
    active: int


class ConversationPage(msgspec.Struct, frozen=True):
    """A page of conversations, newest activity first."""

    items: list[ConversationBody]
    next: str | None


class Cursors(msgspec.Struct, frozen=True):
    """Where the caller's cursors stand."""

    delivered: int
    read: int
