"""What sales and holds look like to clients."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from cells.kernel.clock import rfc3339
from cells.kernel.errors import Rejected
from cells.kernel.money import Money
from server.flash_sale.model import MAX_QUANTITY, MAX_STOCK, Granted, HoldFound, State
from server.flash_sale.showing import SaleView
from server.web.text import Reason, Title, When

MAX_HOLD_SECONDS = 86_400
_YEAR_10000 = 253_402_300_800_000

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Units = Annotated[int, msgspec.Meta(ge=1, le=MAX_QUANTITY)]


class NewSale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sale to be. Its stock is its own: `stock` units, numbered from 1, whatever the catalogue shows."""

    product_id: Annotated[str, msgspec.Meta(max_length=64)]
    title: Title
    price: Money
    stock: Annotated[int, msgspec.Meta(ge=1, le=MAX_STOCK)]
    per_buyer_limit: Units
    hold_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_HOLD_SECONDS)]
    starts_at: Moment | None = None
    ends_at: Moment | None = None


class StepReason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a step is taken; it stands in the log."""

    reason: Reason = ""


class NewHold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units to hold."""

    quantity: Units


class SaleBody(msgspec.Struct, frozen=True):
    """A sale as everyone sees it. `version` and `position` say how new the picture is."""

    id: str
    merchant_id: str
    product_id: str
    title: str
    state: State
    stock: int
    available: int
    held: int
    sold: int
    price: Money
    list_price: Money | None
    per_buyer_limit: int
    hold_seconds: int
    starts_at: When | None
    ends_at: When | None
    version: int
    position: int


class SalePage(msgspec.Struct, frozen=True):
    """A page of sales, newest first."""

    items: list[SaleBody]
    next: str | None


class GrantedBody(msgspec.Struct, frozen=True):
    """Units that are held, durably."""

    hold_id: str
    sale_id: str
    units: tuple[int, ...]
    quantity: int
    price: Money
    expires_at: When
    version: int
    position: int


class HoldBody(msgspec.Struct, frozen=True):
    """A hold as it stands."""

    hold_id: str
    sale_id: str
    units: tuple[int, ...]
    quantity: int
    price: Money
    status: Literal["held", "confirmed", "released", "expired"]
    created_at: When
    expires_at: When
    order_id: str | None
    version: int
    position: int


def millis(moment: datetime | None) -> int | None:
    """Turn a client's moment into epoch milliseconds.

    Raises `Rejected` (bad_request) for one that could not be shown again: its offset may put it outside of the
    calendar that it was written in.
    """
    if moment is None:
        return None
    at = round(moment.timestamp() * 1000)
    if not 0 <= at < _YEAR_10000:
        raise Rejected("bad_request", "A time has to be between the years 1970 and 9999 in UTC.")
    return at


def sale_body(view: SaleView) -> SaleBody:
    """Show a sale."""
    return SaleBody(
        id=view.id,
        merchant_id=view.merchant_id,
        product_id=view.product_id,
        title=view.title,
        state=view.state,  # type: ignore[arg-type]  # the wire's struct knows no commerce
        stock=view.stock,
        available=view.available,
        held=view.held,
        sold=view.sold,
        price=view.price,
        list_price=view.list_price,
        per_buyer_limit=view.per_buyer_limit,
        hold_seconds=view.hold_seconds,
        starts_at=None if view.starts_at is None else rfc3339(view.starts_at),
        ends_at=None if view.ends_at is None else rfc3339(view.ends_at),
        version=view.version,
        position=view.position,
    )


def granted_body(granted: Granted) -> GrantedBody:
    """Show a hold as it was granted; a replay is the same to the letter."""
    return GrantedBody(
        granted.hold_id,
        granted.sale_id,
        granted.units,
        len(granted.units),
        granted.price,
        rfc3339(granted.expires_at),
        granted.version,
        granted.position,
    )


def hold_body(found: HoldFound) -> HoldBody:
    """Show a hold as it stands."""
    return HoldBody(
        found.hold_id,
        found.sale_id,
        found.units,
        len(found.units),
        found.price,
        found.status.value,
        rfc3339(found.created_at),
        rfc3339(found.expires_at),
        found.order_id or None,
        found.version,
        found.position,
    )
