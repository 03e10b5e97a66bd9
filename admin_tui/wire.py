"""What the operator API answers, as the dashboard reads it: other fields are ignored, missing ones have a value.

Times are epoch milliseconds. Text that people wrote comes as they wrote it, and is shown through `text.inert` only.
Nothing here can be part of a cycle, so the collector need not walk through the frames of hundreds of cells (`gc=False`).
"""

import msgspec

NOTHING = msgspec.Raw(b"[]")


class Price(msgspec.Struct, frozen=True, gc=False):
    """An amount in minor units of a currency."""

    amount: int = 0
    currency: str = "EUR"


class Series(msgspec.Struct, frozen=True, gc=False):
    """A rate or level: its newest value, and one-second points of the last minute, the oldest first.

    The points stay as they came until they are asked for: of hundreds of cells few ever are.
    """

    name: str
    unit: str = ""
    now: float = 0.0
    encoded: msgspec.Raw = msgspec.field(default=NOTHING, name="history")

    @property
    def history(self) -> list[float]:
        """The points; none where they are not numbers."""
        try:
            return _decode_points(self.encoded)
        except msgspec.MsgspecError:
            return []


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
    told: msgspec.Raw = msgspec.field(default=NOTHING, name="lines")

    @property
    def lines(self) -> list[Line]:
        """The newest lines of the log; none where they are not lines. Like the points of a series, read when needed."""
        try:
            return _decode_lines(self.told)
        except msgspec.MsgspecError:
            return []


_decode_points = msgspec.json.Decoder(list[float]).decode
_decode_lines = msgspec.json.Decoder(list[Line]).decode


class WhoAmI(msgspec.Struct, frozen=True, gc=False):
    """Whose key this is, what it may do, and which cell answered."""

    name: str = ""
    role: str = ""
    cell: str = ""
