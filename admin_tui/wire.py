"""What the operator API answers, as the dashboard reads it: other fields are ignored, missing ones have a value.

Times are epoch milliseconds. Text that people wrote comes as they wrote it, and is shown through `text.inert` only.
Nothing here can be part of a cycle, so the collector need not walk through the frames of hundreds of cells (`gc=False`).
"""

from typing import Any

import msgspec


class Price(msgspec.Struct, frozen=True, gc=False):
    """An amount in minor units of a currency."""

    amount: int = 0
    currency: str = "EUR"


class Series(msgspec.Struct, frozen=True, gc=False):
    """A rate or level: its newest value, and one-second points of the last minute, the oldest first."""

    name: str
    unit: str = ""
    now: float = 0.0
    history: list[float] = []


class Latency(msgspec.Struct, frozen=True, gc=False):
    """Durations of the last 10 s."""

    name: str
    count: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0


class ProcessRow(msgspec.Struct, frozen=True, gc=False):
    """A process of the cell. `rss` in bytes, `cpu` as a share of one core."""

    name: str
    kind: str = "role"
    state: str = ""
    detail: str = ""
    pid: int = 0
    restarts: int = 0
    rss: int = 0
    cpu: float = 0.0


class LogState(msgspec.Struct, frozen=True, gc=False):
    """How far the log is, and how far the read models are behind it."""

    first: int = 0
    last: int = 0
    epoch: str = ""
    messages: int = 0
    fsync: str = ""
    state: str = ""
    projected: int = 0
    lag_ms: float = 0.0


class SaleRow(msgspec.Struct, frozen=True, gc=False):
    """A sale and its counts. `taken`: units granted in each of the last 60 s, the oldest first."""

    id: str
    merchant_id: str = ""
    product_id: str = ""
    title: str = ""
    state: str = ""
    revision: int = 0
    price: Price = Price()
    stock: int = 0
    available: int = 0
    held: int = 0
    sold: int = 0
    holds: int = 0
    orders: int = 0
    released: int = 0
    expired: int = 0
    oversold: int = 0
    duplicate_units: int = 0
    throttle: int | None = None
    starts_at: int | None = None
    ends_at: int | None = None
    created_at: int = 0
    moved_at: int = 0
    moved_by: str = ""
    reason: str = ""
    taken: list[int] = []


class Move(msgspec.Struct, frozen=True, gc=False):
    """One decision about a sale, as the log has it; `name` is that of an operator."""

    at: int
    position: int = 0
    by: str = ""
    what: str = ""
    reason: str = ""
    throttle: int | None = None
    name: str = ""


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """An order."""

    id: str
    hold_id: str = ""
    sale_id: str = ""
    buyer_id: str = ""
    quantity: int = 0
    units: list[int] = []
    amount: Price = Price()
    payment: str = ""
    at: int = 0
    position: int = 0


class HoldRow(msgspec.Struct, frozen=True, gc=False):
    """A hold; `settled_at` is 0 for as long as it is held."""

    id: str
    sale_id: str = ""
    buyer_id: str = ""
    quantity: int = 0
    units: list[int] = []
    status: str = ""
    created_at: int = 0
    expires_at: int = 0
    settled_at: int = 0
    position: int = 0


class RoomRow(msgspec.Struct, frozen=True, gc=False):
    """The chat room of a sale; `id` is the sale's."""

    id: str
    title: str = ""
    messages: int = 0
    deleted: int = 0
    last_at: int = 0
    rate_60s: int = 0
    locked: bool = False
    slow_ms: int = 0
    muted: int = 0
    banned: int = 0


class MessageRow(msgspec.Struct, frozen=True, gc=False):
    """A chat message; `s` is its number in the room."""

    id: str
    s: int = 0
    user: str = ""
    name: str = ""
    role: str = ""
    text: str = ""
    at: int = 0
    deleted: bool = False


class Alert(msgspec.Struct, frozen=True, gc=False):
    """Something an operator has to know: what, why, and what mends it."""

    id: str
    severity: str = "warning"
    since: int = 0
    what: str = ""
    why: str = ""
    mend: str = ""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One event of one commit in short words."""

    position: int
    index: int = 0
    at: int = 0
    slot: int = 0
    kind: str = ""
    key: str = ""
    type: str = ""
    version: int = 0
    by: str = ""
    text: str = ""


class Totals(msgspec.Struct, frozen=True, gc=False):
    """Counts of a cell, or the sums over several."""

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


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A cell at one moment. With a `target` ahead of `position` it is a replay that is still being folded."""

    cell: str
    mode: str = "live"
    at: int = 0
    position: int = 0
    target: int | None = None
    catching_up: bool = False
    first: int = 0
    last: int = 0
    slots: list[tuple[int, int]] = []
    log: LogState = LogState()
    totals: Totals = Totals()
    series: list[Series] = []
    latencies: list[Latency] = []
    processes: list[ProcessRow] = []
    alerts: list[Alert] = []
    sales: list[SaleRow] = []
    more_sales: int = 0
    lines: list[Line] = []


class WhoAmI(msgspec.Struct, frozen=True, gc=False):
    """Whose key this is, what it may do, and which cell answered."""

    name: str = ""
    role: str = ""
    cell: str = ""


class CellRow(msgspec.Struct, frozen=True, gc=False):
    """A cell in the list of cells."""

    id: str
    state: str = ""
    reason: str = ""
    slots: list[tuple[int, int]] = []
    api: str = ""
    realtime: str = ""
    position: int = 0
    open_sales: int = 0
    orders_per_s: float = 0.0
    holds_per_s: float = 0.0
    p99_ms: float = 0.0
    sockets: int = 0
    lag_ms: float = 0.0
    restarts: int = 0
    down: int = 0
    alerts: int = 0


class Check(msgspec.Struct, frozen=True, gc=False):
    """One thing that was looked at: ok, warn or fail."""

    name: str
    state: str = ""
    detail: str = ""
    mend: str = ""


class OperatorRow(msgspec.Struct, frozen=True, gc=False):
    """Somebody with a key."""

    name: str
    id: str = ""
    role: str = ""
    created_at: int = 0


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """An event as it lies in the log, without what is secret."""

    type: str = ""
    version: int = 0
    data: dict[str, Any] = {}


class Commit(msgspec.Struct, frozen=True, gc=False):
    """One message of the log with everything in it but secrets."""

    position: int
    at: int = 0
    subject: str = ""
    version: int = 0
    prev: str = ""
    hash: str = ""
    size: int = 0
    events: list[EventRow] = []


class Cells(msgspec.Struct, frozen=True, gc=False):
    """Answer of /ops/cells."""

    items: list[CellRow] = []


class Processes(msgspec.Struct, frozen=True, gc=False):
    """Answer of /ops/processes."""

    items: list[ProcessRow] = []


class Sales(msgspec.Struct, frozen=True, gc=False):
    """A page of sales; `next` is the cursor of the next one."""

    items: list[SaleRow] = []
    next: str | None = None
    position: int = 0
    target: int | None = None


class SaleDetail(msgspec.Struct, frozen=True, gc=False):
    """A sale and the decisions about it."""

    sale: SaleRow
    moves: list[Move] = []
    position: int = 0
    target: int | None = None


class Orders(msgspec.Struct, frozen=True, gc=False):
    """A page of orders."""

    items: list[OrderRow] = []
    next: str | None = None
    position: int = 0
    target: int | None = None


class Holds(msgspec.Struct, frozen=True, gc=False):
    """A page of holds."""

    items: list[HoldRow] = []
    next: str | None = None
    position: int = 0
    target: int | None = None


class Rooms(msgspec.Struct, frozen=True, gc=False):
    """The rooms of a cell."""

    items: list[RoomRow] = []
    position: int = 0
    target: int | None = None


class Messages(msgspec.Struct, frozen=True, gc=False):
    """The newest messages of a room, the newest first; `before` the last one's `s` is the next page."""

    items: list[MessageRow] = []
    position: int = 0
    target: int | None = None


class Lines(msgspec.Struct, frozen=True, gc=False):
    """A stretch of the log, in its order. All between `start` and `end` was looked at; the log is `first` to `last`."""

    items: list[Line] = []
    first: int = 0
    last: int = 0
    start: int = 0
    end: int = 0


class Checks(msgspec.Struct, frozen=True, gc=False):
    """Answer of /ops/health."""

    items: list[Check] = []


class Operators(msgspec.Struct, frozen=True, gc=False):
    """Answer of /ops/operators."""

    items: list[OperatorRow] = []


class Problem(msgspec.Struct, frozen=True, gc=False):
    """Why the server said no (RFC 9457)."""

    status: int = 0
    code: str = ""
    title: str = ""
    detail: str = ""
    retry_after_ms: int | None = None


class Effect(msgspec.Struct, frozen=True, gc=False):
    """What an action's answer says about where it is to be seen."""

    state: str = ""
    revision: int = 0
    position: int = 0
