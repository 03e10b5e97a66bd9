"""The answers of the operator API beside the frame, read as `wire` reads it: pages, details, refusals."""

from typing import Any

import msgspec

from admin_tui.wire import Line, Price, ProcessRow, SaleRow


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
