"""Products over HTTP."""

from typing import Annotated, Any, cast

import msgspec
from litestar import Request, Response, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter, QueryParameter

from cells.engine.handle import handle, load
from cells.kernel.chance import fresh
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id, slot_in
from cells.kernel.money import Money
from server.catalogue import read
from server.catalogue.decide import DECIDER
from server.catalogue.model import Absent, Attributes, Change, Command, Create, Images, Stock
from server.catalogue.views import ProductPage, ProductView, view
from server.store.waiting import Projected
from server.web import cursors
from server.web.auth import BEARER, Actor, requires
from server.web.body import Json
from server.web.feature import Parts
from server.web.idempotency import Answer
from server.web.idempotent_http import IdempotencyKey, answer, same_request
from server.web.paging import AFTER_SECONDS, After, Cursor, Limit
from server.web.problem import refusals
from server.web.text import LINE_PATTERN, Prose, Title

# Litestar keeps the argument name `query` for itself.
Sought = Annotated[
    str | None,
    QueryParameter(
        name="query", max_length=100, pattern=LINE_PATTERN, description="in the title or the description"
    ),
]
Merchant = Annotated[
    str | None, Parameter(max_length=64, pattern=LINE_PATTERN, description="id of a merchant")
]
ProductId = Annotated[str, Parameter(max_length=64)]


class NewProduct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product to be offered."""

    title: Title
    price: Money
    stock: Stock
    description: Prose = ""
    images: Images = ()
    attributes: Attributes = {}


class ProductPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What changes; what is absent stays."""

    title: Title | msgspec.UnsetType = msgspec.UNSET
    description: Prose | msgspec.UnsetType = msgspec.UNSET
    price: Money | msgspec.UnsetType = msgspec.UNSET
    stock: Stock | msgspec.UnsetType = msgspec.UNSET
    images: Images | msgspec.UnsetType = msgspec.UNSET
    attributes: Attributes | msgspec.UnsetType = msgspec.UNSET


_WRITE_CODES = (
    "unauthenticated",
    "token_expired",
    "forbidden",
    "conflict",
    "key_reused",
    "fenced",
    "outcome_unknown",
)


class Products:
    """Runs product commands against the log."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def new_id(self, merchant_id: str) -> str:
        """Make the id of a product, in its merchant's slot."""
        return fresh("prd", slot_in(merchant_id), self._parts.clock)

    async def run(self, product_id: str, command: Command) -> ProductView:
        """Decide a command. Raises `Rejected`."""
        found = await handle(
            self._parts.log, DECIDER, slot_in(product_id), product_id, command, self._parts.clock
        )
        if isinstance(found.state, Absent):
            raise Rejected("not_found", "There is no such product.")
        return view(found.state, found.version, found.position)

    async def get(self, product_id: str) -> ProductView:
        """Return a product as the log has it now. Raises `Rejected` (not_found)."""
        if is_id("prd", product_id):
            found = await load(self._parts.log, DECIDER, slot_in(product_id), product_id)
            if not isinstance(found.state, Absent):
                return view(found.state, found.version, found.position)
        raise Rejected("not_found", "There is no such product.")


def handlers(parts: Parts, products: Products, projected: Projected) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""

    @post(
        "/api/v1/products",
        dto=Json[NewProduct],
        guards=[requires("merchant")],
        security=BEARER,
        responses=refusals(*_WRITE_CODES),
        operation_id="createProduct",
        tags=["catalogue"],
    )
    async def create_product(
        request: Request[Actor, Any, Any], data: NewProduct, idempotency_key: IdempotencyKey = None
    ) -> Response[ProductView]:
        """Offer a product."""
        merchant = request.user.id

        async def work(product_id: str) -> Answer:
            command = Create(
                product_id,
                merchant,
                data.title,
                data.description,
                data.price,
                data.stock,
                data.images,
                data.attributes,
            )
            return Answer(201, msgspec.json.encode(await products.run(product_id, command)))

        same = await same_request(request, idempotency_key)
        return cast(
            "Response[ProductView]",
            answer(await parts.idempotency.run(same, products.new_id(merchant), work)),
        )

    @patch(
        "/api/v1/products/{product_id:str}",
        dto=Json[ProductPatch],
        guards=[requires("merchant")],
        security=BEARER,
        responses=refusals(*_WRITE_CODES, "not_found"),
        operation_id="changeProduct",
        tags=["catalogue"],
    )
    async def change_product(
        request: Request[Actor, Any, Any],
        product_id: ProductId,
        data: ProductPatch,
        idempotency_key: IdempotencyKey = None,
    ) -> Response[ProductView]:
        """Change some of a product's fields."""
        if not is_id("prd", product_id):
            raise Rejected("not_found", "There is no such product.")
        fields = {
            name: value
            for name in data.__struct_fields__
            if (value := getattr(data, name)) is not msgspec.UNSET
        }
        command = Change(request.user.id, **fields)

        async def work(_: str) -> Answer:
            return Answer(200, msgspec.json.encode(await products.run(product_id, command)))

        same = await same_request(request, idempotency_key)
        return cast("Response[ProductView]", answer(await parts.idempotency.run(same, product_id, work)))

    @get(
        "/api/v1/products/{product_id:str}",
        responses=refusals("not_found", "fenced"),
        operation_id="getProduct",
        tags=["catalogue"],
    )
    async def get_product(product_id: ProductId) -> ProductView:
        """Return a product as it is now."""
        return await products.get(product_id)

    @get("/api/v1/products", responses=refusals(), operation_id="listProducts", tags=["catalogue"])
    async def list_products(
        sought: Sought = None,
        merchant: Merchant = None,
        limit: Limit = cursors.DEFAULT_LIMIT,
        cursor: Cursor = None,
        after: After = None,
    ) -> ProductPage:
        """Search products, newest first."""
        await projected.demand(after, AFTER_SECONDS)
        return await read.search(sought, merchant, limit, cursor)

    return create_product, change_product, get_product, list_products
