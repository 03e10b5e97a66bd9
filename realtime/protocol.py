"""The wire protocol `titan.v1.json`: every frame in both directions.

Adding a command is a row in COMMANDS and a payload struct. Codes are in codes.py, channels in channels.py.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from realtime import codes
from realtime.codes import CloseCode, ErrorBody

SUBPROTOCOL: Final = "titan.v1.json"
PATH: Final = "/rt"

MAX_FRAME_BYTES: Final = 16 * 1024
MAX_DEPTH: Final = 16
MAX_RESUME: Final = 100
MAX_HISTORY: Final = 100
MAX_TEXT_CHARS: Final = 4_000
# An array carries at most this many events, so that a reader is never far from the next frame's start.
MAX_BATCH: Final = 16

PING: Final = b"{}"
PING_SECONDS: Final = 25

Position = Annotated[int, Meta(ge=0, lt=1 << 53)]
ClientKey = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[!-~]+$")]

# --- commands ------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True):
    """First command of a connection. `token` is an access token or an operator's key; without one it is anonymous."""

    token: str | None = None
    resume: tuple["Resume", ...] = ()


class Resume(msgspec.Struct, frozen=True, array_like=True):
    """A channel to be subscribed again: where the client was."""

    ch: str
    epoch: str | None = None
    since: Position | None = None


class Sub(msgspec.Struct, frozen=True):
    """Subscribe, or ask again after a gap."""

    ch: str
    epoch: str | None = None
    since: Position | None = None


class Unsub(msgspec.Struct, frozen=True):
    """Leave the channel with the hub's number `n`."""

    n: int


class Msg(msgspec.Struct, frozen=True):
    """Say something. The envelope's `k` makes a repeat the same message."""

    n: int
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]


class History(msgspec.Struct, frozen=True):
    """Ask for events before a position, or for the newest."""

    n: int
    before: Position | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_HISTORY)] = 50


class Ack(msgspec.Struct, frozen=True):
    """Everything up to `s` has arrived. Cumulative: the highest wins."""

    n: int
    s: Position


class Read(msgspec.Struct, frozen=True):
    """Everything up to `s` was read. Cumulative: the highest wins."""

    n: int
    s: Position


class Typing(msgspec.Struct, frozen=True):
    """The person is writing."""

    n: int


class Refresh(msgspec.Struct, frozen=True):
    """Go on with a newer access token of the same account."""

    token: str


Payload = Hello | Sub | Unsub | Msg | History | Ack | Read | Typing | Refresh


class CommandKind(msgspec.Struct, frozen=True):
    """How a command's `d` is read and which budget of RATES it draws on."""

    payload: type[Payload]
    budget: str


COMMANDS: Final[dict[str, CommandKind]] = {
    "hello": CommandKind(Hello, "session"),
    "refresh": CommandKind(Refresh, "session"),
    "sub": CommandKind(Sub, "channel"),
    "unsub": CommandKind(Unsub, "channel"),
    "msg": CommandKind(Msg, "msg"),
    "history": CommandKind(History, "history"),
    "ack": CommandKind(Ack, "ack"),
    "read": CommandKind(Read, "ack"),
    "typing": CommandKind(Typing, "typing"),
}


class Command(msgspec.Struct, frozen=True):
    """The envelope of a command. `{}` is a pong; unknown fields are ignored."""

    i: int | None = None
    t: str | None = None
    k: str | None = None
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


def client_key(command: Command) -> str | None:
    """Answer the client key of a command; None when it has none that may be used."""
    try:
        return msgspec.convert(command.k, ClientKey)
    except msgspec.ValidationError:
        return None


# --- replies -------------------------------------------------------------------------------------


class ChannelState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a channel stands for a subscriber.

    Who named a position of this `epoch` and gets neither `snapshot` nor `reset` goes on from that
    position: the missed events follow, up to `top` and beyond. Everybody else goes on from `top`.
    `reset`: the position is none of this channel; what the client has of it is to be thrown away.
    `here` is the presence of now, as in a `presence` event.
    """

    n: int
    epoch: str
    top: int
    snapshot: Any = None
    reset: bool = False
    here: Any = None


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


class Placed(msgspec.Struct, frozen=True):
    """The answer to `msg`, `ack` and `read`: the position of the message, or where the cursor stands."""

    s: int


class Item(msgspec.Struct, frozen=True):
    """An event of the past."""

    s: int
    p: int
    t: str
    d: Any


class Items(msgspec.Struct, frozen=True):
    """The answer to `history`: consecutive events, the oldest first; `more` when there are older ones."""

    items: tuple[Item, ...]
    more: bool


class Noted(msgspec.Struct, frozen=True):
    """The answer to `typing`."""


class Refreshed(msgspec.Struct, frozen=True):
    """The answer to `refresh`; seconds until the new token expires, null for an operator's key."""

    expires_in: int | None


ReplyBody = ChannelState | Welcome | Unsubscribed | Placed | Items | Noted | Refreshed

# What a command is answered with when it is not refused.
REPLIES: Final[dict[str, type[ReplyBody]]] = {
    "hello": Welcome,
    "refresh": Refreshed,
    "sub": ChannelState,
    "unsub": Unsubscribed,
    "msg": Placed,
    "history": Items,
    "ack": Placed,
    "read": Placed,
    "typing": Noted,
}


class Reply(msgspec.Struct, frozen=True):
    """What a command with `i` equal to `r` came to."""

    r: int
    d: ReplyBody


class Refusal(msgspec.Struct, frozen=True):
    """Why the command with `i` equal to `r` was refused."""

    r: int
    e: ErrorBody


# --- what the server says by itself --------------------------------------------------------------


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


class Signal(msgspec.Struct, frozen=True):
    """Something in channel `n` that counts only now: `typing` or `presence`. It has no position."""

    n: int
    t: str
    d: Any


class TypingBody(msgspec.Struct, frozen=True):
    """The `d` of a `typing` signal: who writes, and for how long that is worth showing."""

    user: str
    ttl_ms: int


class PresenceBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `d` of a `presence` signal: how many are here, and in conversations who."""

    count: int
    people: tuple[str, ...] | None = None


class GoAway(msgspec.Struct, frozen=True):
    """This hub is leaving: open the next connection within `spread_ms` at random, resume there, then leave.

    Until `deadline_ms` have passed this connection goes on as before; then it is closed with 4012.
    """

    deadline_ms: int
    spread_ms: int


class TakenOff(msgspec.Struct, frozen=True):
    """The subscription of channel `n` has ended, for a reason of ERRORS."""

    n: int
    code: str


class Notice(msgspec.Struct, frozen=True):
    """What concerns the connection: `goaway` or `unsub`."""

    t: str
    d: GoAway | TakenOff


NOTICES: Final[dict[str, type[GoAway] | type[TakenOff]]] = {"goaway": GoAway, "unsub": TakenOff}
SIGNALS: Final[dict[str, type[TypingBody] | type[PresenceBody]]] = {
    "typing": TypingBody,
    "presence": PresenceBody,
}

_encoder = msgspec.json.Encoder()


def encode(frame: Reply | Refusal | Event | Signal | Notice) -> bytes:
    """Answer the frame's JSON text."""
    return _encoder.encode(frame)


def encode_value(value: object) -> msgspec.Raw:
    """Answer a value encoded once, to be put into many frames."""
    return msgspec.Raw(_encoder.encode(value))


def refusal(i: int, code: str, retry_ms: int | None = None) -> Refusal:
    """Answer the refusal of command `i` with a code of ERRORS."""
    return Refusal(i, codes.error(code, retry_ms))
