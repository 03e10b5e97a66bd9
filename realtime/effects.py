"""What a session asks of the shell that pumps it, and what the shell answers."""

from enum import Enum, auto

import msgspec

from realtime import protocol
from realtime.channels import ChannelName


class Identity(msgspec.Struct, frozen=True):
    """Whom a credential speaks for. A token does so for `life_ms` more; a key has None and lives until it is revoked."""

    sub: str
    role: str
    sid: str
    life_ms: int | None
    name: str = ""


class Purpose(Enum):
    """What a token was handed in for."""

    HELLO = auto()
    REFRESH = auto()


class Send(msgspec.Struct, frozen=True):
    """Write one frame. It must not be dropped: a peer too slow for it is closed.

    `place` is set where the frame tells the place to resume one channel from: its epoch and position.
    """

    frame: bytes
    place: tuple[str, int] | None = None


class VerifyToken(msgspec.Struct, frozen=True):
    """Find out whom a credential speaks for: an access token, or an operator's key."""

    ref: int
    token: str
    purpose: Purpose


class Wanted(msgspec.Struct, frozen=True):
    """A channel to join, and where the client is in it."""

    channel: ChannelName
    epoch: str | None
    since: int | None


class Subscribe(msgspec.Struct, frozen=True):
    """Join channels, all in one step, so that no event of one comes before the reply."""

    ref: int
    wanted: tuple[Wanted, ...]
    greeting: bool = False  # part of a hello, whose reply carries the outcome


class Unsubscribe(msgspec.Struct, frozen=True):
    """Leave the channel with number `n`."""

    n: int


class Say(msgspec.Struct, frozen=True):
    """Say something in a channel; answered when it is durable."""

    ref: int
    channel: ChannelName
    key: str
    text: str


class Mark(msgspec.Struct, frozen=True):
    """Move a cursor of the person in a channel: `read`, or else that it was delivered."""

    ref: int
    channel: ChannelName
    s: int
    read: bool


class Fetch(msgspec.Struct, frozen=True):
    """Read events of the past."""

    ref: int
    channel: ChannelName
    before: int | None
    limit: int


class ShowTyping(msgspec.Struct, frozen=True):
    """Tell the others in a channel that the person is writing."""

    ref: int
    channel: ChannelName


class Close(msgspec.Struct, frozen=True):
    """Close the connection; nothing may be written after it."""

    code: int
    retry_ms: int | None = None


Request = Say | Mark | Fetch | ShowTyping
Effect = Send | VerifyToken | Subscribe | Unsubscribe | Request | Close


class Joined(msgspec.Struct, frozen=True):
    """A channel was joined; `state` is as of its last event."""

    state: protocol.ChannelState


class NotJoined(msgspec.Struct, frozen=True):
    """A channel was not joined, for a reason of codes.ERRORS."""

    code: str


class Failed(msgspec.Struct, frozen=True):
    """A request was refused, for a reason of codes.ERRORS."""

    code: str
    retry_ms: int | None = None


Answer = protocol.Placed | protocol.Items | protocol.Noted | Failed
