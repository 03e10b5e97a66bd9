"""The words of the operators' API: what of a cell is shown, live and as of any moment of its log.

Their JSON is the contract with the dashboard. Times are epoch milliseconds. Text that people wrote is as they wrote
it: whoever shows it has to make it inert.
"""

from typing import Any, Literal

import msgspec

SaleState = Literal["draft", "armed", "open", "paused", "ended", "killed"]
HoldState = Literal["held", "confirmed", "released", "expired"]
PaymentState = Literal["started", "authorised", "declined", "captured", "voided"]
Severity = Literal["warning", "critical"]
Mode = Literal["live", "replay"]
Level = Literal["ok", "warn", "fail"]

HISTORY = 60
"""Points of every history: whole seconds, the oldest first."""

LOG_SERIES = ("holds", "orders", "released", "expired", "messages", "commits")
"""Series that the log alone gives, live and replayed."""

TELEMETRY_SERIES = ("requests", "refusals", "sockets", "deliveries")
"""Series that running processes give. In a replay they have no history."""


# --- parts of a frame ----------------------------------------------------------------------------------------------


class Price(msgspec.Struct, frozen=True):
    """Money, in minor units."""

    amount: int
    currency: str


class Series(msgspec.Struct, frozen=True):
    """What is counted by the second. `now` is the newest whole second, or the present value of a gauge."""

    name: str
    unit: str
    now: float
    history: list[float]


class Latency(msgspec.Struct, frozen=True):
    """How long something took in the last 10 s; all are 0 when it did not happen."""

    name: str
    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float


class ProcessRow(msgspec.Struct, frozen=True):
    """A process of the cell. `cpu` is its share of one core, `rss` is in bytes."""

    name: str
    kind: Literal["role", "engine"]
    state: str
    detail: str
    pid: int
    restarts: int
    rss: int
    cpu: float


class LogState(msgspec.Struct, frozen=True):
    """The log. `state` is `sound`, `fenced` or `away`; `projected` is how far all read models are."""

    first: int
    last: int
    epoch: str
    messages: int
    fsync: str
    state: str
    projected: int
    lag_ms: float


class Alert(msgspec.Struct, frozen=True):
    """Something that an operator should look at. `id` stays the same for as long as it lasts; `mend` is a command."""

    id: str
    severity: Severity
    since: int
    what: str
    why: str
    mend: str


class Line(msgspec.Struct, frozen=True):
    """One event of one commit, in short. `text` may hold what people wrote."""

    position: int
    index: int
    at: int
    slot: int
    kind: str
    key: str
    type: str
    version: int
    by: str
    text: str


class Totals(msgspec.Struct, frozen=True):
    """Sums over all sales: counts of sales by state, of units, of holds and orders. And of chat."""

    sales: int = 0
    draft: int = 0
    armed: int = 0
    open: int = 0
    paused: int = 0
    ended: int = 0
    killed: int = 0
    stock: int = 0
    available: int = 0
    held: int = 0
    sold: int = 0
    oversold: int = 0
    duplicate_units: int = 0
    orders: int = 0
    holds: int = 0
    messages: int = 0
    rooms: int = 0
    sockets: int = 0


# --- rows ----------------------------------------------------------------------------------------------------------


class SaleRow(msgspec.Struct, frozen=True):
    """A sale. `stock` to `sold` count units; `holds` (ever granted) to `expired` count holds.

    `revision` counts what people and the clock changed about it. `taken` has the units granted in each of the last
    60 seconds, and is empty when there were none.
    """

    id: str
    merchant_id: str
    product_id: str
    title: str
    state: SaleState
    revision: int
    price: Price
    stock: int
    available: int
    held: int
    sold: int
    holds: int
    orders: int
    released: int
    expired: int
    oversold: int
    duplicate_units: int
    throttle: int | None
    starts_at: int | None
    ends_at: int | None
    created_at: int
    moved_at: int
    moved_by: str
    reason: str
    taken: list[int]


class Move(msgspec.Struct, frozen=True):
    """A change of a sale. `what` is the step that was taken, or `throttle`; `name` is an operator's."""

    at: int
    position: int
    by: str
    what: str
    reason: str
    throttle: int | None = None
    name: str = ""


class OrderRow(msgspec.Struct, frozen=True):
    """An order. `amount` is what all of its units cost; `position` is that of the commit that made it."""

    id: str
    hold_id: str
    sale_id: str
    buyer_id: str
    quantity: int
    units: list[int]
    amount: Price
    payment: PaymentState
    at: int
    position: int


class HoldRow(msgspec.Struct, frozen=True):
    """A hold. `settled_at` is 0 for as long as it is held."""

    id: str
    sale_id: str
    buyer_id: str
    quantity: int
    units: list[int]
    status: HoldState
    created_at: int
    expires_at: int
    settled_at: int
    position: int


class RoomRow(msgspec.Struct, frozen=True):
    """The room of a sale, by the sale's id. `muted` and `banned` count people, `slow_ms` is 0 without slow mode."""

    id: str
    title: str
    messages: int
    deleted: int
    last_at: int
    rate_60s: int
    locked: bool
    slow_ms: int
    muted: int
    banned: int


class MessageRow(msgspec.Struct, frozen=True):
    """A message of a room. `s` is its place in the room's channel."""

    id: str
    room: str
    s: int
    user: str
    name: str
    role: str
    text: str
    at: int
    deleted: bool


class EventRow(msgspec.Struct, frozen=True):
    """An event as it lies in the log, without what is secret."""

    type: str
    version: int
    data: dict[str, Any]


class CellRow(msgspec.Struct, frozen=True):
    """A cell in one line. `down` counts processes that do not serve, `alerts` what is wrong."""

    id: str
    state: str
    reason: str
    slots: list[tuple[int, int]]
    api: str
    realtime: str
    position: int
    open_sales: int
    orders_per_s: float
    holds_per_s: float
    p99_ms: float
    sockets: int
    lag_ms: float
    restarts: int
    down: int
    alerts: int


class Finding(msgspec.Struct, frozen=True):
    """What a check of the cell's health found; `mend` is a command, and empty where all is well."""

    name: str
    state: Level
    detail: str
    mend: str


# --- answers -------------------------------------------------------------------------------------------------------


class Frame(msgspec.Struct, frozen=True):
    """The whole picture of a cell as of `position`.

    `target` is where a replay was asked to be: while `position` is less, it is still on its way, and asking again
    takes it further. `catching_up`: the picture is not yet that of the moment it stands for. `sales` are the ones
    to look at, `more_sales` is how many there are besides.
    """

    cell: str
    mode: Mode
    at: int
    position: int
    target: int | None
    catching_up: bool
    first: int
    last: int
    slots: list[tuple[int, int]]
    log: LogState
    totals: Totals
    series: list[Series]
    latencies: list[Latency]
    processes: list[ProcessRow]
    alerts: list[Alert]
    sales: list[SaleRow]
    more_sales: int
    lines: list[Line]


class Cells(msgspec.Struct, frozen=True):
    """All cells that are known here."""

    items: list[CellRow]


class Processes(msgspec.Struct, frozen=True):
    """The processes of the cell."""

    items: list[ProcessRow]


class Sales(msgspec.Struct, frozen=True):
    """A page of sales as of `position`: live ones first, then those that moved last. `target` as in a frame."""

    items: list[SaleRow]
    next: str | None
    position: int
    target: int | None = None


class SaleDetail(msgspec.Struct, frozen=True):
    """A sale with its newest changes, the newest first."""

    sale: SaleRow
    moves: list[Move]
    position: int
    target: int | None = None


class Orders(msgspec.Struct, frozen=True):
    """A page of the newest orders, the newest first."""

    items: list[OrderRow]
    next: str | None
    position: int
    target: int | None = None


class Holds(msgspec.Struct, frozen=True):
    """A page of the newest holds, the newest first."""

    items: list[HoldRow]
    next: str | None
    position: int
    target: int | None = None


class Rooms(msgspec.Struct, frozen=True):
    """The rooms, the last spoken in first."""

    items: list[RoomRow]
    position: int
    target: int | None = None


class Messages(msgspec.Struct, frozen=True):
    """The newest messages of a room, the newest first."""

    items: list[MessageRow]
    position: int
    target: int | None = None


class Lines(msgspec.Struct, frozen=True):
    """A stretch of the log, in its order. `first` and `last` are the ends of the log.

    All of the log between `start` and `end` was looked at, both included: go on `before` the one or `after` the other.
    """

    items: list[Line]
    first: int
    last: int
    start: int = 0
    end: int = 0


class CommitDetail(msgspec.Struct, frozen=True):
    """A commit. `prev` and `hash` are SHA-256 in hex, `size` is in bytes."""

    position: int
    at: int
    subject: str
    version: int
    prev: str
    hash: str
    size: int
    events: list[EventRow]


class Health(msgspec.Struct, frozen=True):
    """What is well with the cell and its machine, and what is not."""

    items: list[Finding]
