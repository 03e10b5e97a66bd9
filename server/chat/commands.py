"""What chat is asked and what it answers, as it crosses between the api and the writer."""

from typing import Literal

import msgspec

from server.chat.model import By, Ref, Role

MAX_SLOW_SECONDS = 3_600
MAX_MUTE_SECONDS = 365 * 24 * 3_600
SHOWN_PEOPLE = 1_000

Action = Literal["delete", "mute", "unmute", "ban", "unban", "slow_mode", "lock", "unlock", "block_words"]


# --- commands --------------------------------------------------------------------------------------------------


class OpenConversation(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """Open the conversation of a buyer with a merchant about a subject. Again: nothing changes."""

    key: str
    buyer_id: str
    merchant_id: str
    subject: str
    title: str
    buyer_name: str


class PostMessage(msgspec.Struct, frozen=True, array_like=True, tag="post"):
    """Say something. `message_id` is used only if `digest`, of author and client key, is new. `text` is as it came."""

    key: str
    message_id: str
    author: str
    author_name: str
    role: Role
    text: str
    digest: bytes


class Moderate(msgspec.Struct, frozen=True, array_like=True, tag="moderate"):
    """Moderate a channel. Repeating it changes nothing.

    `target` is a message to `delete` and a person to `mute`, `unmute`, `ban` or `unban`; `until` is for `mute`,
    `seconds` for `slow_mode`, `words` for `block_words`.
    """

    key: str
    action: Action
    by: By
    target: str = ""
    until: int = 0
    seconds: int = 0
    words: tuple[str, ...] = ()


class MoveCursors(msgspec.Struct, frozen=True, array_like=True, tag="cursors"):
    """A person has received and read up to these positions; 0 says nothing."""

    key: str
    user: str
    delivered: int
    read: int


class LookAt(msgspec.Struct, frozen=True, array_like=True, tag="look"):
    """Ask what a person may do in a channel. Changes nothing."""

    key: str
    user: str
    role: Role


class ShowModeration(msgspec.Struct, frozen=True, array_like=True, tag="moderation"):
    """Ask what moderators have decided in a room. Changes nothing; who may ask is known to the api."""

    key: str


Command = OpenConversation | PostMessage | Moderate | MoveCursors | LookAt | ShowModeration


# --- answers ---------------------------------------------------------------------------------------------------


class Opened(msgspec.Struct, array_like=True, tag="opened"):
    """The conversation exists, durably. `created`: it did not before."""

    key: str
    created: bool
    s: int = 0


class Posted(msgspec.Struct, array_like=True, tag="posted"):
    """The message is durable. `ref` becomes `s` when its commit is."""

    message_id: str
    at: int
    text: str
    ref: Ref = 0
    s: int = 0
    replayed: bool = False


class Moderated(msgspec.Struct, array_like=True, tag="moderated"):
    """The channel is as the moderator wants it, durably. `changed`: it was not before."""

    changed: bool


class CursorsMoved(msgspec.Struct, array_like=True, tag="moved"):
    """Where a person's cursors stand."""

    delivered: int
    read: int


class Seen(msgspec.Struct, array_like=True, tag="seen"):
    """A channel as one person may see it, as of the event at `ref`, which becomes `s` when its commit is durable.

    `refusal` is why the person may not write, or empty.
    """

    ref: Ref
    refusal: str = ""
    buyer_id: str = ""
    merchant_id: str = ""
    subject: str = ""
    title: str = ""
    slow_seconds: int = 0
    locked: bool = False
    cursors: dict[str, tuple[int, int]] = {}
    s: int = 0


class ModerationShown(msgspec.Struct, array_like=True, tag="moderation"):
    """What holds in a room: `muted` people with the end of it in epoch milliseconds, `banned` people.

    Of either at most `SHOWN_PEOPLE`; `more` counts those who are left out.
    """

    words: tuple[str, ...]
    slow_seconds: int
    locked: bool
    muted: dict[str, int]
    banned: list[str]
    more: int


class Refusal(msgspec.Struct, frozen=True, array_like=True, tag="no"):
    """The rules or the writer said no; `code` is in the table of `cells.kernel.errors`."""

    code: str
    detail: str = ""
    retry_after_ms: int | None = None


Answer = Opened | Posted | Moderated | CursorsMoved | Seen | ModerationShown | Refusal
