"""The table of products, kept up with the log, and the search over it. It may lag the log."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cells.engine.project import Recorded
from cells.kernel.clock import rfc3339
from cells.kernel.codec import Registry
from cells.kernel.money import Money
from server.catalogue.model import KIND, REGISTRY, ProductChanged, ProductCreated
from server.catalogue.views import ProductPage, ProductView
from server.store import engine
from server.store.engine import Connection
from server.store.keyset import Keyset, position_of
from server.web import cursors

LIST = "products"

_CREATE = """
    INSERT INTO products (id, merchant_id, title, description, price_amount, price_currency, stock, images,
                          attributes, created_at, updated_at, version, position, first_position)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $12)"""

_CHANGE = """
    UPDATE products SET title = coalesce($2, title), description = coalesce($3, description),
        price_amount = coalesce($4, price_amount), price_currency = coalesce($5, price_currency),
        stock = coalesce($6, stock), images = coalesce($7, images), attributes = coalesce($8, attributes),
        updated_at = $9, version = $10, position = $11
    WHERE id = $1"""

_SEARCH = """
    SELECT * FROM products
    WHERE ($1::text IS NULL OR merchant_id = $1)
      AND ($2::text IS NULL OR title ILIKE $2 OR description ILIKE $2)
      AND ($3::bigint IS NULL OR (first_position, id) < ($3, $4::text))
    ORDER BY first_position DESC, id DESC LIMIT $5"""

_attributes = msgspec.json.Decoder(dict[str, str])
_json = msgspec.json.Encoder()


class ProductsProjection:
    """Writes `products`."""

    name = "products"
    tables = ("products",)
    registries: Mapping[str, Registry] = {KIND: REGISTRY}

    async def apply(self, connection: Connection, batch: Sequence[Recorded]) -> None:
        """Write what a batch led to, in its order."""
        for statement, arguments in changes(batch):
            await connection.execute(statement, *arguments)


def changes(batch: Sequence[Recorded]) -> list[tuple[str, tuple[object, ...]]]:
    """Return the statements that a batch leads to: a function of the batch alone."""
    found: list[tuple[str, tuple[object, ...]]] = []
    for recorded in batch:
        for event in recorded.events:
            match event:
                case ProductCreated():
                    found.append((_CREATE, _created(event, recorded)))
                case ProductChanged():
                    found.append((_CHANGE, _changed(event, recorded)))
                case _:
                    msg = f"{type(event).__name__} is not projected"
                    raise TypeError(msg)
    return found


def _created(event: ProductCreated, recorded: Recorded) -> tuple[object, ...]:
    return (
        event.product_id,
        event.merchant_id,
        event.title,
        event.description,
        event.price.amount,
        event.price.currency,
        event.stock,
        list(event.images),
        _json.encode(event.attributes).decode(),
        event.at,
        recorded.version,
        recorded.position,
    )


def _changed(event: ProductChanged, recorded: Recorded) -> tuple[object, ...]:
    return (
        recorded.key,
        event.title,
        event.description,
        event.price.amount if event.price else None,
        event.price.currency if event.price else None,
        event.stock,
        list(event.images) if event.images is not None else None,
        _json.encode(event.attributes).decode() if event.attributes is not None else None,
        event.at,
        recorded.version,
        recorded.position,
    )


async def search(query: str | None, merchant: str | None, limit: int, cursor: str | None) -> ProductPage:
    """Return a page of the products whose title or description contains `query`, newest first.

    Raises `Rejected`: bad_request on a cursor that is not one of this list, unavailable when Postgres is away.
    """
    after = cursors.decode(LIST, cursor, Keyset) if cursor else None
    limit = max(1, min(limit, cursors.MAX_LIMIT))
    async with engine.query() as connection:
        rows = await connection.fetch(_SEARCH, merchant, _pattern(query), *position_of(after), limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    following = cursors.encode(LIST, Keyset(rows[-1]["first_position"], rows[-1]["id"])) if more else None
    return ProductPage([_view(row) for row in rows], following)


def _pattern(query: str | None) -> str | None:
    if not query:
        return None
    literal = query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal}%"


def _view(row: Any) -> ProductView:
    return ProductView(
        row["id"],
        row["merchant_id"],
        row["title"],
        row["description"],
        Money(row["price_amount"], row["price_currency"]),
        row["stock"],
        tuple(row["images"]),
        _attributes.decode(row["attributes"]),
        rfc3339(row["created_at"]),
        rfc3339(row["updated_at"]),
        row["version"],
        row["position"],
    )
