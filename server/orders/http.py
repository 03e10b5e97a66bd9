"""Orders over HTTP. Read-only: an order is made by confirming a hold."""

from typing import Annotated, Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id
from cells.log.port import Log
from server.orders import read
from server.orders.model import Order, OrderPage
from server.store.waiting import Projected
from server.web import cursors
from server.web.auth import BEARER, Actor, demand, requires
from server.web.paging import AFTER_SECONDS, After, Cursor, Limit
from server.web.problem import refusals

OWN_WRITE_SECONDS = 1.0

OrderId = Annotated[str, Parameter(max_length=64)]
Asked = Request[Actor, Any, Any]


def handlers(projected: Projected, log: Log) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers over this process's knowledge of the projections."""

    @get(
        "/api/v1/orders",
        guards=[requires()],
        security=BEARER,
        tags=["orders"],
        operation_id="listOrders",
        summary="Orders of the caller: a buyer's own, a merchant's sales'",
        responses=refusals("unauthenticated", "forbidden"),
    )
    async def list_orders(
        request: Asked, limit: Limit = cursors.DEFAULT_LIMIT, cursor: Cursor = None, after: After = None
    ) -> OrderPage:
        actor = demand(request.user, "buyer", "merchant")
        await projected.demand(after, AFTER_SECONDS)
        return await read.list_orders(
            "merchant" if actor.role == "merchant" else "buyer", actor.id, limit, cursor
        )

    @get(
        "/api/v1/orders/{order_id:str}",
        guards=[requires()],
        security=BEARER,
        tags=["orders"],
        operation_id="getOrder",
        summary="An order, for its buyer and its merchant",
        responses=refusals("unauthenticated", "forbidden", "not_found"),
    )
    async def get_order(request: Asked, order_id: OrderId, after: After = None) -> Order:
        await projected.demand(after, AFTER_SECONDS)
        known = projected.position
        found = await read.find_order(order_id, request.user.id)
        if found is None and is_id("ord", order_id) and await _catch_up(projected, log, known):
            found = await read.find_order(order_id, request.user.id)
        if found is None:
            raise Rejected("not_found", "There is no such order, or it is not yours.")
        return found

    return list_orders, get_order


async def _catch_up(projected: Projected, log: Log, known: int) -> bool:
    """Let the projections reach the end of the log; False when a read at `known` has seen all of it."""
    info = await log.info()
    if info is None or known >= info.last:
        return False
    await projected.reached(info.last, OWN_WRITE_SECONDS)
    return True
