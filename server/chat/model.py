"""The words of chat: rooms of sales and conversations of a buyer with a merchant, their events and state.

A room has the key of its sale (`sal_…`), a conversation its own (`cnv_…`). Both are channels of the same events.
An event's position is `s`: its commit's position times 1024, plus its place in the commit. Before the commit is
durable, an event is known by its `Ref`: the commit's version in the place of the position.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from cells.kernel.codec import EventKind, Registry

ROOM = "room"
CONVERSATION = "cnv"

EVENTS_PER_COMMIT = 1024
MAX_WORDS = 200
MAX_WORD_CHARS = 64
KEY_BYTES = 16

Role = Literal["buyer", "merchant", "operator"]
"""What a person is in a channel: its merchant, an operator, or anybody else."""

Ref = int


def s_of(positions: Sequence[int], ref: Ref) -> int:
    """Return the position of an event of a durable commit; 0 for the ref 0."""
    return positions[ref // EVENTS_PER_COMMIT - 1] * EVENTS_PER_COMMIT + ref % EVENTS_PER_COMMIT if ref else 0


class By(msgspec.Struct, frozen=True, array_like=True):
    """Who moderated, and why. `name` is an operator's."""

    id: str
    role: Role
    reason: str
    name: str = ""


# --- events ----------------------------------------------------------------------------------------------------


class ConversationOpened(msgspec.Struct, frozen=True, array_like=True):
    """A buyer and a merchant may talk. `subject` is a product, an order or a sale, or empty; `title` is its name."""

    conversation_id: str
    buyer_id: str
    merchant_id: str
    subject: str
    title: str
    buyer_name: str
    at: int


class MessagePosted(msgspec.Struct, frozen=True, array_like=True):
    """Somebody said something. `key` is the digest of author and client key."""

    message_id: str
    author: str
    author_name: str
    role: Role
    text: str
    key: bytes
    at: int


class MessageDeleted(msgspec.Struct, frozen=True, array_like=True):
    """A message is to be shown no more."""

    message_id: str
    by: By
    at: int


class MemberMuted(msgspec.Struct, frozen=True, array_like=True):
    """A person may not write before `until`, in epoch milliseconds; 0 lifts it."""

    user: str
    until: int
    by: By
    at: int


class MemberBanned(msgspec.Struct, frozen=True, array_like=True):
    """A person may not write any more."""

    user: str
    by: By
    at: int


class MemberUnbanned(msgspec.Struct, frozen=True, array_like=True):
    """A person may write again."""

    user: str
    by: By
    at: int


class SlowModeSet(msgspec.Struct, frozen=True, array_like=True):
    """Everybody but merchant and operators waits this many seconds between two messages; 0 lifts it."""

    seconds: int
    by: By
    at: int


class RoomLocked(msgspec.Struct, frozen=True, array_like=True):
    """Only merchant and operators may write."""

    by: By
    at: int


class RoomUnlocked(msgspec.Struct, frozen=True, array_like=True):
    """Everybody may write again."""

    by: By
    at: int


class WordsBlocked(msgspec.Struct, frozen=True, array_like=True):
    """Messages with one of these words are refused. Replaces the words before."""

    words: tuple[str, ...]
    by: By
    at: int


class Delivered(msgspec.Struct, frozen=True, array_like=True):
    """All up to `s` has reached a person."""

    user: str
    s: int
    at: int


class ReadUpTo(msgspec.Struct, frozen=True, array_like=True):
    """A person has read all up to `s`, so it has reached the person too."""

    user: str
    s: int
    at: int


class WriterChanged(msgspec.Struct, frozen=True, array_like=True):
    """A writer took the channel over. Any append of an earlier writer fails from here on."""

    term: int
    writer: str


Event = (
    ConversationOpened
    | MessagePosted
    | MessageDeleted
    | MemberMuted
    | MemberBanned
    | MemberUnbanned
    | SlowModeSet
    | RoomLocked
    | RoomUnlocked
    | WordsBlocked
    | Delivered
    | ReadUpTo
    | WriterChanged
)

EVENTS = Registry(
    EventKind(kind.__name__, kind)
    for kind in (
        ConversationOpened,
        MessagePosted,
        MessageDeleted,
        MemberMuted,
        MemberBanned,
        MemberUnbanned,
        SlowModeSet,
        RoomLocked,
        RoomUnlocked,
        WordsBlocked,
        Delivered,
        ReadUpTo,
        WriterChanged,
    )
)

INVISIBLE = (WordsBlocked, WriterChanged)
"""Events that are no events of the channel: telling them would help to get around them, or nobody."""


# --- state -----------------------------------------------------------------------------------------------------


class Message(msgspec.Struct, gc=False):
    """A message in the fold. Its text stays in the log; `mark` tells another text from it."""

    id: str
    author: str
    ref: Ref
    at: int
    mark: bytes
    deleted: bool = False


class Member(msgspec.Struct, gc=False):
    """What is known of a person in a channel. Cursors are positions, times are epoch milliseconds."""

    posted_at: int = 0
    muted_until: int = 0
    banned: bool = False
    delivered: int = 0
    read: int = 0


class Channel(msgspec.Struct):
    """A room or a conversation in memory. It has one owner, which evolves it in place.

    `keys` holds every client key for ever, because a retry may come at any time. `top` is the newest visible
    event, `before` the newest visible one of the commits before the last.
    """

    positions: Sequence[int]
    version: int = 0
    index: int = -1
    top: Ref = 0
    before: Ref = 0
    id: str = ""
    buyer_id: str = ""
    merchant_id: str = ""
    subject: str = ""
    title: str = ""
    slow_seconds: int = 0
    locked: bool = False
    words: tuple[str, ...] = ()
    messages: dict[str, Message] = msgspec.field(default_factory=dict)
    keys: dict[bytes, Message] = msgspec.field(default_factory=dict)
    members: dict[str, Member] = msgspec.field(default_factory=dict)

    @property
    def end(self) -> int:
        """The position behind every event that anybody can have seen."""
        return (self.positions[-1] + 1) * EVENTS_PER_COMMIT if self.positions else 0
