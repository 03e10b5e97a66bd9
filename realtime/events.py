"""What hubs and the features behind `log` channels tell each other: msgpack over core NATS.

A hub knows channels, people and positions; what may be said where, and what an event means, is decided
by the feature that answers here. All requests may be sent again: none has a second effect.

| subject | from -> to | payload -> answer |
|---|---|---|
| `channel.join` (`feed.join` for `me`) | hub -> feature | Join -> Admission |
| `channel.page` (`feed.page`) | hub -> feature | PageRequest -> Page |
| `channel.tops` (`feed.tops`) | hub -> feature | TopsRequest -> list of int |
| `channel.do` | hub -> feature | Acts -> list of Outcome, one for each act in order |
| `room.<id>` `cnv.<id>` `me.<account>` | feature -> all hubs | list of Event, after they are durable |
| `channel.access` | feature -> all hubs | AccessChanged |
| `sale.<id>` `ops.frame` | feature -> all hubs | Shown, the newest state of a `latest` channel |
| `sale-get` | hub -> feature | the id of a `sale` channel, as text -> Shown, or nil |
| `ops.key` | hub -> feature | an operator's key, as text -> Holder, or nil |
| `signal.<kind>.<id>` | hub -> all hubs | Signal |
| `hub.<node>` | hub -> all hubs | Presence, once a second |

Every subject begins with `cell.<cell>.`. A request that the feature cannot answer now (it starts, stops, or
does not lead) stays unanswered or gets an empty payload: the hub asks again until its deadline.
"""

from typing import Final

import msgspec

MAX_PAGE: Final = 200
MAX_TOPS: Final = 500

# --- subjects ------------------------------------------------------------------------------------

# Kind of channel -> token of the subject on which its events are published.
LIVE: Final[dict[str, str]] = {"room": "room", "chat": "cnv"}


class LatestSubjects(msgspec.Struct, frozen=True):
    """Where states of a kind of `latest` channel are told, the id for `*`, and where one can be asked for.

    `beats`: each message is a newer state, also at the position of the one before it.
    """

    told: str
    asked: str = ""
    beats: bool = False


LATEST: Final[dict[str, LatestSubjects]] = {
    "sale": LatestSubjects("sale.*", asked="sale-get"),
    "ops": LatestSubjects("ops.frame", beats=True),
}

REDACTS: Final = frozenset({"deleted"})
"""Types of events that take back what earlier ones told: those are asked for again, and never served from memory."""


def live_subject(cell: str, kind: str, key: str) -> str:
    """Answer where the events of channel `<kind>:<key>` are published; `key` may be `*`."""
    return f"cell.{cell}.{LIVE[kind]}.{key}"


def news_subject(cell: str) -> str:
    """Answer where the events of many `me` channels are published together, as a list of News.

    Most accounts have nobody who watches: a message each would cost hubs and NATS as much as a sale's holds do.
    """
    return f"cell.{cell}.me"


def _side(kind: str) -> str:
    return "feed" if kind == "me" else "channel"


def join_subject(cell: str, kind: str) -> str:
    """Answer where Join is asked for a kind of channel."""
    return f"cell.{cell}.{_side(kind)}.join"


def page_subject(cell: str, kind: str) -> str:
    """Answer where pages of a kind of channel are asked for."""
    return f"cell.{cell}.{_side(kind)}.page"


def tops_subject(cell: str, kind: str) -> str:
    """Answer where the tops of channels of a kind are asked for."""
    return f"cell.{cell}.{_side(kind)}.tops"


def act_subject(cell: str) -> str:
    """Answer where Acts are asked."""
    return f"cell.{cell}.channel.do"


def access_subject(cell: str) -> str:
    """Answer where AccessChanged is published."""
    return f"cell.{cell}.channel.access"


def signal_subject(cell: str, kind: str, key: str) -> str:
    """Answer where hubs tell each other signals of a channel."""
    return f"cell.{cell}.signal.{kind}.{key}"


def presence_subject(cell: str, node: str) -> str:
    """Answer where a hub tells who is connected to it."""
    return f"cell.{cell}.hub.{node}"


def key_subject(cell: str) -> str:
    """Answer where it is asked whose an operator's key is."""
    return f"cell.{cell}.ops.key"


def revoked_subject(cell: str) -> str:
    """Answer where ended sign-ins are published: a map with the `sid`."""
    return f"cell.{cell}.session.revoked"


# --- newest states -------------------------------------------------------------------------------


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """The newest state of a `latest` channel: JSON text of an object that is not empty, as of a position.

    What follows in the array is not for hubs.
    """

    position: int
    text: bytes


# --- events and pages ----------------------------------------------------------------------------


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One durable event of a channel. `p` is the `s` of the channel's event before it, 0 for the first.

    `s` rises strictly along a channel and stays below 2**53. `d` is JSON text, framed as it is.
    """

    s: int
    p: int
    t: str
    d: bytes


class PageRequest(msgspec.Struct, frozen=True):
    """Events after a position, or before one (exclusive); with neither, the newest. `limit` is at most MAX_PAGE.

    `channel` is the name with its id; a `me` channel is named `me:<account>` here.
    """

    channel: str
    after: int | None = None
    before: int | None = None
    limit: int = MAX_PAGE


class Page(msgspec.Struct, frozen=True):
    """Consecutive events, the oldest first; `more` when the asked direction has further ones.

    With `after`, the first event's `p` is `after` when `after` was a position of the channel.
    """

    epoch: str
    events: tuple[Event, ...] = ()
    more: bool = False


class TopsRequest(msgspec.Struct, frozen=True):
    """Where do these channels (at most MAX_TOPS, of one side) stand? Answered in order; 0 for an empty one.

    Asked of every watched channel each 10 s and after a reconnect: what was published and lost shows here.
    """

    channels: tuple[str, ...]


# --- who may -------------------------------------------------------------------------------------


class Join(msgspec.Struct, frozen=True):
    """May this person read the channel? `user` and `role` are None for somebody who did not sign in."""

    channel: str
    user: str | None = None
    role: str | None = None


class Admission(msgspec.Struct, frozen=True):
    """The answer to Join, as of position `top` of `epoch`. A hub relies on it for 30 s at most.

    `code` is one of protocol.ERRORS and None for one who is let in; the rest counts only then.
    `receipts`: whether `ack` and `read` mean something here; where they do not, the hub drops them.
    `people`: presence tells who is here; otherwise only how many.
    `snapshot`: JSON text for one who comes without a position; what it says is as of `top`.
    """

    code: str | None = None
    epoch: str = ""
    top: int = 0
    can_write: bool = False
    receipts: bool = False
    people: bool = False
    snapshot: bytes | None = None


class AccessChanged(msgspec.Struct, frozen=True):
    """What was known of a person's (None: everybody's) access to a channel counts no more.

    With a `code` of protocol.ERRORS the person's sockets are taken off the channel and told the code.
    """

    channel: str
    user: str | None = None
    code: str | None = None


class Holder(msgspec.Struct, frozen=True):
    """Whose a key is: an operator's id, role and name. A hub relies on it for 5 s at most."""

    id: str
    role: str
    name: str


# --- what people do ------------------------------------------------------------------------------


class Say(msgspec.Struct, frozen=True, tag="say"):
    """Say `text`. The client key `k` makes a repeat the same message for ever."""

    channel: str
    user: str
    name: str
    role: str
    k: str
    text: str


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """Everything up to `s` has reached the person. Cumulative: the highest wins."""

    channel: str
    user: str
    s: int


class Read(msgspec.Struct, frozen=True, tag="read"):
    """The person has read everything up to `s`. Cumulative: the highest wins."""

    channel: str
    user: str
    s: int


Act = Say | Ack | Read


class Acts(msgspec.Struct, frozen=True):
    """Acts to be answered together. `deadline_ms` (since the epoch): nobody waits for an answer after it."""

    deadline_ms: int
    acts: tuple[Act, ...]


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The act is durable: the position of the message, or where the cursor stands now."""

    s: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The act is not done, for a reason of protocol.ERRORS."""

    code: str
    retry_ms: int | None = None


Outcome = Done | Refused


# --- between hubs --------------------------------------------------------------------------------


class Signal(msgspec.Struct, frozen=True):
    """Something that counts only now: not kept, not repeated, dropped first. `d` is JSON text."""

    t: str
    user: str
    d: bytes


class Presence(msgspec.Struct, frozen=True):
    """Who is at one hub. Each entry counts for 3 s and replaces the hub's last one; 0 or nobody ends it.

    `counts` by channel; `people` by channel, where a channel tells who is there. A big hub tells it in
    several messages.
    """

    node: str
    counts: dict[str, int]
    people: dict[str, tuple[str, ...]]


class News(msgspec.Struct, frozen=True, array_like=True):
    """What one account is told: a list of Event, encoded, so that only a hub that wants it decodes it."""

    account: str
    events: msgspec.Raw
