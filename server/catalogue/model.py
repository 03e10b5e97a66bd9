"""The words of the catalogue: a product of a merchant, as it is offered."""

from typing import Annotated

import msgspec

from cells.kernel.codec import EventKind, Registry
from cells.kernel.money import Money
from server.web.text import LINE_PATTERN, Prose, Title

KIND = "prd"

MAX_STOCK = 10_000_000

Stock = Annotated[int, msgspec.Meta(ge=0, le=MAX_STOCK)]
# Same-origin paths and https addresses only: never a script, a data blob or somebody's plain-text server.
Image = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=500,
        pattern="^(https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!#-;=?-Z_a-z~%]*)?|(/[A-Za-z0-9._~%@+-]+)+)$(?![\\s\\S])",
        description="https address or absolute path",
    ),
]
Images = Annotated[tuple[Image, ...], msgspec.Meta(max_length=20)]
AttributeName = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=LINE_PATTERN)]
AttributeValue = Annotated[str, msgspec.Meta(max_length=500, pattern=LINE_PATTERN)]
Attributes = Annotated[dict[AttributeName, AttributeValue], msgspec.Meta(max_length=50)]


# --- events ----------------------------------------------------------------------------------------------------


class ProductCreated(msgspec.Struct, frozen=True, array_like=True):
    """A merchant offered a product."""

    product_id: str
    merchant_id: str
    title: str
    description: str
    price: Money
    stock: int
    images: tuple[str, ...]
    attributes: dict[str, str]
    at: int


class ProductChanged(msgspec.Struct, frozen=True, array_like=True):
    """Its merchant changed some of it; None stands for what stayed."""

    title: str | None
    description: str | None
    price: Money | None
    stock: int | None
    images: tuple[str, ...] | None
    attributes: dict[str, str] | None
    at: int


Event = ProductCreated | ProductChanged

REGISTRY = Registry(
    [EventKind("ProductCreated", ProductCreated), EventKind("ProductChanged", ProductChanged)]
)


# --- state -----------------------------------------------------------------------------------------------------


class Absent(msgspec.Struct, frozen=True):
    """There is no such product."""


class Product(msgspec.Struct, frozen=True):
    """A product. Times are epoch milliseconds."""

    id: str
    merchant_id: str
    title: str
    description: str
    price: Money
    stock: int
    images: tuple[str, ...]
    attributes: dict[str, str]
    created_at: int
    updated_at: int


State = Absent | Product


# --- commands --------------------------------------------------------------------------------------------------


class Create(msgspec.Struct, frozen=True):
    """Offer a product. Creating the same id again changes nothing."""

    product_id: str
    merchant_id: str
    title: Title
    description: Prose
    price: Money
    stock: Stock
    images: Images
    attributes: Attributes


class Change(msgspec.Struct, frozen=True):
    """Change what is not None."""

    merchant_id: str
    title: Title | None = None
    description: Prose | None = None
    price: Money | None = None
    stock: Stock | None = None
    images: Images | None = None
    attributes: Attributes | None = None


Command = Create | Change
