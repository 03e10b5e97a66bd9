"""The words of a flash sale: its state, the commands it takes, the events it is made of, the answers it gives.

Units are numbered from 1 to the stock. Every event names the units it moves, so that anyone can check from the
log alone that no unit had two owners.
"""

from collections import deque
from enum import Enum
from typing import Literal

import msgspec

from cells.kernel.codec import EventKind, Registry
from cells.kernel.money import Money

KIND = "sale"

MAX_STOCK = 1_000_000
MAX_QUANTITY = 1_000
MAX_THROTTLE = 100_000
KEY_BYTES = 16

State = Literal["draft", "armed", "open", "paused", "ended", "killed"]
Step = Literal["arm", "open", "pause", "resume", "end", "kill"]


class HoldStatus(Enum):
    """Where a hold stands. All but `HELD` are final."""

    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"


# --- events ----------------------------------------------------------------------------------------------------


class SaleDrafted(msgspec.Struct, frozen=True, array_like=True):
    """A merchant described a sale. Times are epoch milliseconds."""

    sale_id: str
    merchant_id: str
    product_id: str
    title: str
    price: Money
    list_price: Money | None
    stock: int
    per_buyer_limit: int
    hold_seconds: int
    starts_at: int | None
    ends_at: int | None
    at: int


class SaleMoved(msgspec.Struct, frozen=True, array_like=True):
    """The sale went into another state. `by` is an account, an operator, or `clock`. Killing releases every hold."""

    state: State
    by: str
    reason: str
    at: int
    command: str = ""
    by_name: str = ""


class SaleThrottled(msgspec.Struct, frozen=True, array_like=True):
    """From now on the sale grants at most `per_second` new holds a second; None: as many as come."""

    per_second: int | None
    by: str
    reason: str
    at: int
    command: str = ""
    by_name: str = ""


class WriterChanged(msgspec.Struct, frozen=True, array_like=True):
    """A writer took the sale over. Any append of an earlier writer fails from here on."""

    term: int
    writer: str


class UnitsHeld(msgspec.Struct, frozen=True, array_like=True):
    """A buyer holds units until `expires_at`. `key` is the digest of buyer and Idempotency-Key."""

    hold_id: str
    buyer_id: str
    units: tuple[int, ...]
    key: bytes
    expires_at: int
    at: int


class HoldConfirmed(msgspec.Struct, frozen=True, array_like=True):
    """The hold became an order; its units are sold."""

    hold_id: str
    order_id: str
    payment_id: str
    at: int


class HoldReleased(msgspec.Struct, frozen=True, array_like=True):
    """The buyer gave the units back."""

    hold_id: str
    at: int


class HoldExpired(msgspec.Struct, frozen=True, array_like=True):
    """The hold's time ran out; its units went back."""

    hold_id: str
    at: int


Event = (
    SaleDrafted
    | SaleMoved
    | SaleThrottled
    | WriterChanged
    | UnitsHeld
    | HoldConfirmed
    | HoldReleased
    | HoldExpired
)

EVENTS = Registry(
    [
        EventKind("SaleDrafted", SaleDrafted),
        EventKind("SaleMoved", SaleMoved),
        EventKind("SaleThrottled", SaleThrottled),
        EventKind("WriterChanged", WriterChanged),
        EventKind("UnitsHeld", UnitsHeld),
        EventKind("HoldConfirmed", HoldConfirmed),
        EventKind("HoldReleased", HoldReleased),
        EventKind("HoldExpired", HoldExpired),
    ]
)


# --- state -----------------------------------------------------------------------------------------------------


class Hold(msgspec.Struct):
    """A hold in the fold. `version` is the sale's commit that granted it."""

    id: str
    buyer_id: str
    units: tuple[int, ...]
    key: bytes
    expires_at: int
    at: int
    version: int
    status: HoldStatus = HoldStatus.HELD
    order_id: str = ""
    payment_id: str = ""
    settled_at: int = 0


class Sale(msgspec.Struct):
    """A sale in memory. It has one owner, which evolves it in place: copying 100,000 holds would cost the speed.

    `expiries` holds the ids of holds in the order they were granted, which is the order they run out in: the
    writer's time never goes back, and a sale's holds all last `hold_seconds`. `revision` counts what was decided
    about the sale itself, its steps and its throttles. `tokens` is what the throttle's bucket had at `tokens_at`.
    """

    id: str = ""
    merchant_id: str = ""
    product_id: str = ""
    title: str = ""
    price: Money = Money(0, "EUR")
    list_price: Money | None = None
    stock: int = 0
    per_buyer_limit: int = 0
    hold_seconds: int = 0
    starts_at: int | None = None
    ends_at: int | None = None
    created_at: int = 0
    state: State = "draft"
    term: int = 0
    fresh_unit: int = 1
    returned: deque[int] = msgspec.field(default_factory=deque)
    held: int = 0
    sold: int = 0
    holds: dict[str, Hold] = msgspec.field(default_factory=dict)
    keys: dict[bytes, str] = msgspec.field(default_factory=dict)
    taken: dict[str, int] = msgspec.field(default_factory=dict)
    expiries: deque[str] = msgspec.field(default_factory=deque)
    settled: deque[str] = msgspec.field(default_factory=deque)
    moves: deque[str] = msgspec.field(default_factory=lambda: deque(maxlen=64))
    revision: int = 0
    throttle: int | None = None
    tokens: int = 0
    tokens_at: int = 0

    @property
    def exists(self) -> bool:
        """Whether it was ever drafted."""
        return bool(self.id)

    @property
    def available(self) -> int:
        """Units that nobody holds or owns."""
        return self.stock - self.held - self.sold


# --- commands, as they cross from the api to the writer ------------------------------------------------------------


class DraftSale(msgspec.Struct, frozen=True, array_like=True, tag="draft"):
    """Describe a new sale. Repeating it with the same id and content changes nothing."""

    sale_id: str
    merchant_id: str
    product_id: str
    title: str
    price: Money
    list_price: Money | None
    stock: int
    per_buyer_limit: int
    hold_seconds: int
    starts_at: int | None
    ends_at: int | None


class MoveSale(msgspec.Struct, frozen=True, array_like=True, tag="move"):
    """Take a step of the sale's life cycle. `merchant_id` is empty when an operator asks; `id` makes a repeat safe.

    With an `expected_revision`, the step is taken only if the sale still is at it.
    """

    sale_id: str
    id: str
    step: Step
    by: str
    merchant_id: str
    reason: str
    by_name: str = ""
    expected_revision: int | None = None


class ThrottleSale(msgspec.Struct, frozen=True, array_like=True, tag="throttle"):
    """Limit how many new holds a second the sale grants, or lift the limit with None. Operators only; like `MoveSale`."""

    sale_id: str
    id: str
    per_second: int | None
    by: str
    reason: str
    by_name: str = ""
    expected_revision: int | None = None


class HoldUnits(msgspec.Struct, frozen=True, array_like=True, tag="hold"):
    """Hold units for a buyer. `hold_id` is used only if the key is new."""

    sale_id: str
    hold_id: str
    buyer_id: str
    quantity: int
    key: bytes


class ConfirmHold(msgspec.Struct, frozen=True, array_like=True, tag="confirm"):
    """Turn a hold into an order. `order_id` is used only if the hold is not confirmed yet."""

    sale_id: str
    hold_id: str
    buyer_id: str
    order_id: str
    payment_id: str


class ReleaseHold(msgspec.Struct, frozen=True, array_like=True, tag="release"):
    """Give a hold's units back."""

    sale_id: str
    hold_id: str
    buyer_id: str


class FindHold(msgspec.Struct, frozen=True, array_like=True, tag="find"):
    """Ask where a hold stands. Changes nothing. An empty buyer asks on behalf of the system."""

    sale_id: str
    hold_id: str
    buyer_id: str


class GetSale(msgspec.Struct, frozen=True, array_like=True, tag="get"):
    """Ask for the sale as it is. Changes nothing."""

    sale_id: str


Command = DraftSale | MoveSale | ThrottleSale | HoldUnits | ConfirmHold | ReleaseHold | FindHold | GetSale
"""`sale_id` may be empty in commands about a hold: the writer then looks for the hold in the sales of its slot."""


# --- answers, as they cross back -----------------------------------------------------------------------------------


class Granted(msgspec.Struct, array_like=True, tag="granted"):
    """The units are held, durably. `version` and `position` are those of the granting commit."""

    hold_id: str
    sale_id: str
    units: tuple[int, ...]
    price: Money
    expires_at: int
    version: int = 0
    position: int = 0
    replayed: bool = False


class HoldFound(msgspec.Struct, array_like=True, tag="found"):
    """A hold as it stands. Also the answer to a confirm (`replayed` when it had been confirmed before) and a release."""

    hold_id: str
    sale_id: str
    buyer_id: str
    merchant_id: str
    product_id: str
    title: str
    units: tuple[int, ...]
    price: Money
    status: HoldStatus
    created_at: int
    expires_at: int
    order_id: str
    payment_id: str
    settled_at: int
    version: int = 0
    position: int = 0
    replayed: bool = False


class SaleFound(msgspec.Struct, array_like=True, tag="sale"):
    """The sale as it stands after the command."""

    view: msgspec.Raw
    version: int = 0
    position: int = 0


class Refusal(msgspec.Struct, frozen=True, array_like=True, tag="no"):
    """The rules or the writer said no; `code` is in the table of `cells.kernel.errors`."""

    code: str
    detail: str = ""
    retry_after_ms: int | None = None


Answer = Granted | HoldFound | SaleFound | Refusal
