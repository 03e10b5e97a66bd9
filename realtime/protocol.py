"""The wire protocol `titan.v1.json`: every frame, every code, and what a client does about each.

Adding a command is a row in COMMANDS and a payload struct; adding a channel is a row in CHANNELS.
"""

from enum import Enum
from typing import Any, Final

import msgspec

from cells.kernel.ids import is_id

SUBPROTOCOL: Final = "titan.v1.json"
PATH: Final = "/rt"

MAX_FRAME_BYTES: Final = 16 * 1024
MAX_DEPTH: Final = 16
MAX_RESUME: Final = 100

PING: Final = b"{}"
PING_SECONDS: Final = 25


# --- closing -------------------------------------------------------------------------------------


class Retry(Enum):
    """What a client does about a close."""

    STOP = "stop"  # the conversation is over
    RESUME = "resume"  # reconnect with full jitter, not before retry_ms, and resume
    REFRESH = "refresh"  # get a new access token, then resume


class CloseCode:
    """Close codes of this protocol: 40xx reconnect and resume, 44xx and 45xx never."""

    NORMAL: Final = 1000
    GOING_AWAY: Final = 1001
    INTERNAL: Final = 4000
    TOKEN_EXPIRED: Final = 4003
    SLOW: Final = 4008
    NO_PONG: Final = 4009
    DRAINING: Final = 4012
    OVERLOADED: Final = 4013
    EPOCH_CHANGED: Final = 4014
    RATE: Final = 4029
    BAD_FRAME: Final = 4400
    UNAUTHENTICATED: Final = 4401
    FORBIDDEN: Final = 4403
    UNKNOWN_PROTOCOL: Final = 4404
    TOO_MANY_SOCKETS: Final = 4409
    TOO_BIG: Final = 4413
    SESSION_REVOKED: Final = 4501


_RETRY_RANGES: Final = (
    (range(1000, 1002), Retry.STOP),
    (range(4003, 4004), Retry.REFRESH),
    (range(4000, 4100), Retry.RESUME),
    (range(4400, 4600), Retry.STOP),
)


def retry_of(code: int) -> Retry:
    """Answer what to do after a close with `code`; a code of no range is a lost connection."""
    for codes, retry in _RETRY_RANGES:
        if code in codes:
            return retry
    return Retry.RESUME


class CloseReason(msgspec.Struct, frozen=True, omit_defaults=True):
    """The close frame's reason, as JSON: how long to stay away."""

    retry_ms: int | None = None


def encode_reason(retry_ms: int | None) -> str:
    """Answer the reason of a close frame, far below the 123 bytes it may have."""
    return "" if retry_ms is None else f'{{"retry_ms":{retry_ms}}}'


def decode_reason(reason: str) -> CloseReason:
    """Answer what a close frame's reason says; one that is not ours says nothing."""
    try:
        return msgspec.json.decode(reason, type=CloseReason)
    except (ValueError, RecursionError):
        return CloseReason()


# --- errors --------------------------------------------------------------------------------------

ERRORS: Final[dict[str, bool]] = {
    # code -> temp: may the same command succeed later without being changed?
    "bad_request": False,
    "forbidden": False,
    "limit_reached": False,
    "not_found": False,
    "rate_limited": True,
    "token_expired": False,
    "unauthenticated": False,
    "unavailable": True,
    "unknown_command": False,
    "wrong_state": False,
}


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `e` of a refused command."""

    code: str
    temp: bool
    retry_ms: int | None = None


# --- commands ------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True):
    """First command of a connection. Without a token it is anonymous."""

    token: str | None = None
    resume: tuple["Resume", ...] = ()


class Resume(msgspec.Struct, frozen=True, array_like=True):
    """A channel to be subscribed again: where the client was."""

    ch: str
    epoch: str | None = None
    since: int | None = None


class Sub(msgspec.Struct, frozen=True):
    """Subscribe, or ask again after a gap."""

    ch: str
    epoch: str | None = None
    since: int | None = None


class Unsub(msgspec.Struct, frozen=True):
    """Leave the channel with the hub's number `n`."""

    n: int


class Refresh(msgspec.Struct, frozen=True):
    """Go on with a newer access token of the same account."""

    token: str


Payload = Hello | Sub | Unsub | Refresh


class CommandKind(msgspec.Struct, frozen=True):
    """How a command's `d` is read and which budget of RATES it draws on."""

    payload: type[Payload]
    budget: str


COMMANDS: Final[dict[str, CommandKind]] = {
    "hello": CommandKind(Hello, "session"),
    "refresh": CommandKind(Refresh, "session"),
    "sub": CommandKind(Sub, "channel"),
    "unsub": CommandKind(Unsub, "channel"),
}


class Command(msgspec.Struct, frozen=True):
    """The envelope of a command. `{}` is a pong; unknown fields are ignored."""

    i: int | None = None
    t: str | None = None
    d: msgspec.Raw = msgspec.Raw(b"{}")


class BadFrame(ValueError):  # noqa: N818 - names the fault, as the close code does
    """The peer broke the protocol; the connection is closed with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


_commands = msgspec.json.Decoder(Command | list[Command])


def decode_frame(frame: str | bytes) -> list[Command]:
    """Answer the commands of one frame, pongs left out. Raises BadFrame."""
    if len(frame) > MAX_FRAME_BYTES:
        raise BadFrame(CloseCode.TOO_BIG)
    if isinstance(frame, bytes):
        raise BadFrame(CloseCode.BAD_FRAME)
    try:
        text = frame.encode()
        if len(text) > MAX_FRAME_BYTES:
            raise BadFrame(CloseCode.TOO_BIG)
        if too_deep(text):
            raise BadFrame(CloseCode.BAD_FRAME)
        read = _commands.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadFrame(CloseCode.BAD_FRAME) from None
    commands = read if isinstance(read, list) else [read]
    if any((each.t is None) is not (each.i is None) for each in commands):
        raise BadFrame(CloseCode.BAD_FRAME)
    return [each for each in commands if each.t is not None]


def too_deep(text: bytes) -> bool:
    """Tell whether brackets outside strings nest deeper than MAX_DEPTH."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    quoted = escaped = False
    for byte in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped = byte == 0x5C
            quoted = byte != 0x22
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif byte in b"]}":
            depth -= 1
    return False


# --- replies and events --------------------------------------------------------------------------


class ChannelState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a channel stands for a new subscriber: the next event's `p` equals `top`."""

    n: int
    epoch: str
    top: int
    snapshot: Any = None


class Welcome(msgspec.Struct, frozen=True):
    """The answer to `hello`; `ping` in seconds, `max` in bytes a frame."""

    conn: str
    node: str
    ping: int
    max: int
    channels: dict[str, ChannelState]


class Unsubscribed(msgspec.Struct, frozen=True):
    """The answer to `unsub`."""

    n: int


class Refreshed(msgspec.Struct, frozen=True):
    """The answer to `refresh`; seconds until the new token expires."""

    expires_in: int


ReplyBody = ChannelState | Welcome | Unsubscribed | Refreshed


class Reply(msgspec.Struct, frozen=True):
    """What a command with `i` equal to `r` came to."""

    r: int
    d: ReplyBody


class Refusal(msgspec.Struct, frozen=True):
    """Why the command with `i` equal to `r` was refused."""

    r: int
    e: ErrorBody


class Event(msgspec.Struct, frozen=True):
    """A change of channel `n`: from position `p` to position `s`.

    An event with `s == p` moves nothing; it only freshens what is not part of the log, such as
    the number of viewers. A client that drops `s <= last` may ignore it without harm.
    """

    n: int
    s: int
    p: int
    t: str
    d: Any


_encoder = msgspec.json.Encoder()


def encode(frame: Reply | Refusal | Event) -> bytes:
    """Answer the frame's JSON text."""
    return _encoder.encode(frame)


def text_frame(payload: bytes) -> bytes:
    """Answer a payload as the one unmasked text frame that a server puts on the wire (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def encode_value(value: object) -> msgspec.Raw:
    """Answer a value encoded once, to be put into many frames."""
    return msgspec.Raw(_encoder.encode(value))


def refusal(i: int, code: str, retry_ms: int | None = None) -> Refusal:
    """Answer the refusal of command `i` with a code of ERRORS."""
    return Refusal(i, ErrorBody(code, ERRORS[code], retry_ms))


# --- channels ------------------------------------------------------------------------------------


class Delivery(Enum):
    """What a slow reader may miss."""

    LATEST = "latest"  # everything but the newest value


class ChannelKind(msgspec.Struct, frozen=True):
    """A family of channels `<kind>:<id>`."""

    delivery: Delivery
    id_prefix: str
    public: bool


CHANNELS: Final[dict[str, ChannelKind]] = {
    "sale": ChannelKind(Delivery.LATEST, "sal", public=True),
}


class ChannelName(msgspec.Struct, frozen=True):
    """A well-formed channel name, taken apart."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


def channel_name(text: str) -> ChannelName | None:
    """Answer the channel that `text` names, or None when there can be no such channel."""
    kind, _, key = text.partition(":")
    family = CHANNELS.get(kind)
    if family is None or not is_id(family.id_prefix, key):
        return None
    return ChannelName(kind, key)
