"""The families of channels, and what a slow reader of each may miss."""

from enum import Enum
from typing import Final

import msgspec

from cells.kernel.ids import is_id


class Delivery(Enum):
    """What is shed when a reader is slow, and how it makes up for it."""

    LOG = "log"  # nothing: over its budget the reader is closed with 4008 and resumes
    LATEST = "latest"  # everything but the newest value
    SIGNAL = "signal"  # anything: it counts only now


class ChannelKind(msgspec.Struct, frozen=True):
    """A family of channels `<kind>:<id>`.

    `private`: one for each account, named by the kind alone. `only`: there is but one, with this id. `roles`: whom it
    is for, where it is not for everybody. `viewers`: its events tell how many are subscribed.
    """

    delivery: Delivery
    id_prefix: str
    anonymous: bool
    private: bool = False
    presence: bool = False
    only: str = ""
    roles: frozenset[str] = frozenset()
    viewers: bool = False


OPERATORS: Final = frozenset({"viewer", "operator", "admin"})

CHANNELS: Final[dict[str, ChannelKind]] = {
    "sale": ChannelKind(Delivery.LATEST, "sal", anonymous=True, viewers=True),
    "room": ChannelKind(Delivery.LOG, "sal", anonymous=True, presence=True),
    "chat": ChannelKind(Delivery.LOG, "cnv", anonymous=False, presence=True),
    "me": ChannelKind(Delivery.LOG, "usr", anonymous=False, private=True),
    "ops": ChannelKind(Delivery.LATEST, "", anonymous=False, only="cell", roles=OPERATORS),
}


class ChannelName(msgspec.Struct, frozen=True):
    """A well-formed channel name, taken apart. `str` is what clients call it, `key` what the cell does."""

    kind: str
    id: str

    def __str__(self) -> str:
        return self.kind if self.family.private else self.key

    @property
    def key(self) -> str:
        """The name with its id: two accounts have two keys for `me`."""
        return f"{self.kind}:{self.id}"

    @property
    def family(self) -> ChannelKind:
        """What is common to channels of this kind."""
        return CHANNELS[self.kind]


def channel_name(text: str, user: str | None = None) -> ChannelName | None:
    """Answer the channel that `text` means when `user` says it, or None when there can be no such channel."""
    kind, colon, key = text.partition(":")
    family = CHANNELS.get(kind)
    if family is None or bool(colon) is family.private:
        return None
    if family.private:
        return ChannelName(kind, user or "")
    known = key == family.only if family.only else is_id(family.id_prefix, key)
    return ChannelName(kind, key) if known else None


def keyed(key: str) -> ChannelName:
    """Answer the name for a `key` that came from one."""
    kind, _, rest = key.partition(":")
    return ChannelName(kind, rest)
