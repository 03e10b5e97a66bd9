"""A product as clients see it."""

import msgspec

from cells.kernel.clock import rfc3339
from cells.kernel.money import Money
from server.catalogue.model import Product
from server.web.text import When


class ProductView(msgspec.Struct, frozen=True):
    """A product. `version` counts its changes; `position` is that of the newest in the log."""

    id: str
    merchant_id: str
    title: str
    description: str
    price: Money
    stock: int
    images: tuple[str, ...]
    attributes: dict[str, str]
    created_at: When
    updated_at: When
    version: int
    position: int


class ProductPage(msgspec.Struct, frozen=True):
    """A page of products. `next` is the cursor of the page behind it."""

    items: list[ProductView]
    next: str | None


def view(product: Product, version: int, position: int) -> ProductView:
    """Show a product."""
    return ProductView(
        product.id,
        product.merchant_id,
        product.title,
        product.description,
        product.price,
        product.stock,
        product.images,
        product.attributes,
        rfc3339(product.created_at),
        rfc3339(product.updated_at),
        version,
        position,
    )
