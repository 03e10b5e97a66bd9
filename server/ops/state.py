"""What the board holds. PURE. All of it is data, so that a snapshot is its encoding and nothing else.

Everything has a limit. Lists that lose their oldest do so by halves: they are let grow to twice what is shown.
"""

from typing import Final

import msgspec

ORDERS: Final = 1_000
HOLDS: Final = 1_000
MESSAGES: Final = 100
LINES: Final = 200
MOVES: Final = 50
SECONDS: Final = 120
"""What is shown, each counted from the newest."""

MAX_SALES: Final = 5_000
"""Full policy: of the sales that are over the ones that moved first leave, then drafts; `Gone` has their counts."""

MAX_ROOMS: Final = 5_000
"""Full policy: the rooms that have been silent longest leave; `Gone` has their counts."""

MAX_MESSAGES: Final = 10_000
"""Of all rooms together. Full policy: the rooms that have been silent longest lose theirs."""

MAX_MUTED: Final = 1_000
"""Of one room. Full policy: those whose time is over leave, then the oldest."""

MAX_TEXT: Final = 500
"""Characters kept of a title, a reason or a message. Full policy: the rest is cut off."""


class Move(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A change of a sale."""

    at: int
    position: int
    by: str
    name: str
    what: str
    reason: str
    throttle: int | None


class Sale(msgspec.Struct, array_like=True):
    """A sale. `owners` counts for each unit, by its number, the holds and orders that have it.

    `taken` has units granted by second. `over_since` is when units were first given out that were not there to give.
    `closed`: it is over and nobody holds anything of it, so a unit that it still gives out is not its own.
    """

    merchant_id: str
    product_id: str
    title: str
    amount: int
    currency: str
    stock: int
    starts_at: int | None
    ends_at: int | None
    created_at: int
    state: str = "draft"
    revision: int = 0
    held: int = 0
    sold: int = 0
    holds: int = 0
    orders: int = 0
    released: int = 0
    expired: int = 0
    oversold: int = 0
    duplicate_units: int = 0
    over_since: int = 0
    throttle: int | None = None
    moved_at: int = 0
    moved_by: str = ""
    moved_position: int = 0
    reason: str = ""
    closed: bool = False
    owners: bytearray = msgspec.field(default_factory=bytearray)
    taken: dict[int, int] = {}
    moves: list[Move] = []

    @property
    def active(self) -> int:
        """Holds that are neither orders nor over."""
        return self.holds - self.orders - self.released - self.expired


class Hold(msgspec.Struct, array_like=True, gc=False):
    """A hold: every one that is held, and the newest others. `number` counts all holds of the log."""

    number: int
    sale_id: str
    buyer_id: str
    units: tuple[int, ...]
    created_at: int
    expires_at: int
    position: int
    status: str = "held"
    settled_at: int = 0
    payment: str = ""


class Order(msgspec.Struct, array_like=True, gc=False):
    """An order."""

    id: str
    sale_id: str
    buyer_id: str
    units: tuple[int, ...]
    amount: int
    currency: str
    payment: str
    at: int
    position: int


class Message(msgspec.Struct, array_like=True, gc=False):
    """A message of a room."""

    id: str
    s: int
    user: str
    name: str
    role: str
    text: str
    at: int
    deleted: bool = False


class Room(msgspec.Struct, array_like=True):
    """A room. `muted` has until when, `spoken` counts messages by second."""

    messages: int = 0
    deleted: int = 0
    last_at: int = 0
    locked: bool = False
    slow_seconds: int = 0
    muted: dict[str, int] = {}
    banned: dict[str, None] = {}  # ordered, so that a snapshot has one form
    newest: list[Message] = []
    spoken: dict[int, int] = {}


class Second(msgspec.Struct, array_like=True, gc=False):
    """What was appended in a second, by the time of the commits."""

    holds: int = 0
    orders: int = 0
    released: int = 0
    expired: int = 0
    messages: int = 0
    commits: int = 0


class Kept(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A commit as it is stored, and the number of its events."""

    position: int
    subject: str
    body: bytes
    events: int


class Gone(msgspec.Struct, array_like=True):
    """Counts of sales and rooms that left the board."""

    draft: int = 0
    ended: int = 0
    killed: int = 0
    stock: int = 0
    held: int = 0
    sold: int = 0
    oversold: int = 0
    duplicate_units: int = 0
    orders: int = 0
    holds: int = 0
    rooms: int = 0


class State(msgspec.Struct, array_like=True):
    """The whole board. `position` is the newest commit in it, `at` the latest time of all of them.

    `first` is the first commit in it, `unknown` counts events that this release does not know, `missing` positions
    that were not in the log any more, `moves` drafts and changes of all sales. `orders` are by hold.
    """

    first: int = 0
    position: int = 0
    at: int = 0
    commits: int = 0
    events: int = 0
    unknown: int = 0
    missing: int = 0
    granted: int = 0
    moves: int = 0
    messages: int = 0
    kept_messages: int = 0
    sales: dict[str, Sale] = {}
    holds: dict[str, Hold] = {}
    recent: list[str] = []
    orders: dict[str, Order] = {}
    rooms: dict[str, Room] = {}
    seconds: dict[int, Second] = {}
    newest: list[Kept] = []
    gone: Gone = msgspec.field(default_factory=Gone)


class Place(msgspec.Struct):
    """Where the fold is: the second and the commit of an event, its aggregate, its index in the commit."""

    state: State
    second: Second
    position: int = 0
    key: str = ""
    index: int = 0


def by_second(counts: dict[int, int], at: int, amount: int) -> None:
    """Count in the second of a time. The seconds that were first counted in leave."""
    second = at // 1000
    if second in counts:
        counts[second] += amount
        return
    counts[second] = amount
    if len(counts) > 2 * SECONDS:
        for oldest in list(counts)[:-SECONDS]:
            del counts[oldest]
