"""What operators send, and what they are answered that is not in `words`."""

from typing import Annotated

import msgspec

from cells.kernel.money import Money
from server.flash_sale.model import MAX_THROTTLE, State
from server.flash_sale.showing import SaleView
from server.web.auth import Rank
from server.web.text import TITLE_PATTERN, Reason

MAX_REVISION = 2**53

Revision = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        le=MAX_REVISION,
        description="`revision` of the sale that was seen; if it is another by now, 409 conflict",
    ),
]
GivenReason = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=TITLE_PATTERN)]
PerSecond = Annotated[
    int, msgspec.Meta(ge=1, le=MAX_THROTTLE, description="new holds a second; null lifts the limit")
]


class Steering(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a step is taken, and on which picture of the sale; both stand in the log or are checked against it."""

    reason: Reason = ""
    expected_revision: Revision | None = None


class Stopping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step that cannot be undone needs a reason."""

    reason: GivenReason
    expected_revision: Revision | None = None


class Throttling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many new holds a second the sale grants."""

    per_second: PerSecond | None
    reason: Reason = ""
    expected_revision: Revision | None = None


class SaleAfter(msgspec.Struct, frozen=True):
    """A sale as it stands after an action. Times are epoch milliseconds.

    `position` is the log position that it was taken from: a frame of that position or a later one shows the action.
    """

    id: str
    merchant_id: str
    product_id: str
    title: str
    state: State
    revision: int
    price: Money
    stock: int
    available: int
    held: int
    sold: int
    throttle: int | None
    starts_at: int | None
    ends_at: int | None
    version: int
    position: int


class WhoAmI(msgspec.Struct, frozen=True):
    """Whose key the request came with, and which cell answers."""

    id: str
    name: str
    role: Rank
    cell: str


class OperatorRow(msgspec.Struct, frozen=True):
    """Somebody who has a key. `created_at` is in epoch milliseconds."""

    id: str
    name: str
    role: Rank
    created_at: int


class OperatorPage(msgspec.Struct, frozen=True):
    """Everybody who has a key, by name."""

    items: list[OperatorRow]


def sale_after(view: SaleView) -> SaleAfter:
    """Show a sale to the operator who acted on it."""
    return SaleAfter(
        view.id,
        view.merchant_id,
        view.product_id,
        view.title,
        view.state,  # type: ignore[arg-type]  # the wire's struct knows no commerce
        view.revision,
        view.price,
        view.stock,
        view.available,
        view.held,
        view.sold,
        view.throttle,
        view.starts_at,
        view.ends_at,
        view.version,
        view.position,
    )
