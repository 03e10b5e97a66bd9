"""Sales and holds over HTTP. Holding itself is the hot path, in `hot.py`."""

from typing import Annotated, Any, cast

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter, QueryParameter

from cells.kernel.chance import fresh
from cells.kernel.clock import Clock
from cells.kernel.ids import slot_in
from server.flash_sale import read
from server.flash_sale.audit import Audit
from server.flash_sale.bodies import (
    HoldBody,
    NewSale,
    SaleBody,
    SalePage,
    StepReason,
    hold_body,
    sale_body,
)
from server.flash_sale.desk import SaleDesk
from server.flash_sale.lifecycle import OPERATOR_STEPS
from server.flash_sale.model import State, Step
from server.store.waiting import Projected
from server.web import cursors
from server.web.auth import BEARER, Actor, Role, requires
from server.web.body import Json
from server.web.idempotency import Answer, Idempotency
from server.web.idempotent_http import IdempotencyKey, answer, same_request
from server.web.paging import AFTER_SECONDS, After, Cursor, Limit
from server.web.problem import refusals
from server.web.text import LINE_PATTERN

STEPS: tuple[Step, ...] = ("arm", "open", "pause", "resume", "end", "kill")

InState = Annotated[State | None, QueryParameter(name="state", description="only sales in this state")]
OfMerchant = Annotated[
    str | None,
    QueryParameter(name="merchant", max_length=64, pattern=LINE_PATTERN, description="only this merchant's"),
]
SaleId = Annotated[str, Parameter(max_length=64)]
HoldId = Annotated[str, Parameter(max_length=64)]
Asked = Request[Actor, Any, Any]

_AUTH = ("unauthenticated", "token_expired", "forbidden")
_WRITE = (*_AUTH, "conflict", "key_reused", "overloaded", "fenced", "outcome_unknown")


def handlers(
    desk: SaleDesk, idempotency: Idempotency, projected: Projected, clock: Clock
) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""
    return (
        *_sales(desk, projected),
        _drafting(desk, idempotency, clock),
        *(_step(step, desk, idempotency, clock) for step in STEPS),
        *_holds(desk),
    )


def _drafting(desk: SaleDesk, idempotency: Idempotency, clock: Clock) -> HTTPRouteHandler:
    @post(
        "/api/v1/sales",
        dto=Json[NewSale],
        guards=[requires("merchant")],
        security=BEARER,
        responses=refusals(*_WRITE, "not_found"),
        operation_id="createSale",
        tags=["sales"],
    )
    async def create_sale(
        request: Asked, data: NewSale, idempotency_key: IdempotencyKey = None
    ) -> Response[SaleBody]:
        """Draft a sale of one of the merchant's products."""
        merchant = request.user.id

        async def work(sale_id: str) -> Answer:
            return Answer(201, msgspec.json.encode(sale_body(await desk.draft(merchant, sale_id, data))))

        same = await same_request(request, idempotency_key)
        new_id = fresh("sal", slot_in(merchant), clock)
        return cast("Response[SaleBody]", answer(await idempotency.run(same, new_id, work)))

    return create_sale


def _step(step: Step, desk: SaleDesk, idempotency: Idempotency, clock: Clock) -> HTTPRouteHandler:
    roles: tuple[Role, ...] = ("merchant", "operator") if step in OPERATOR_STEPS else ("merchant",)

    @post(
        f"/api/v1/sales/{{sale_id:str}}/{step}",
        status_code=200,
        dto=Json[StepReason],
        guards=[requires(*roles)],
        security=BEARER,
        responses=refusals(*_WRITE, "not_found", "wrong_state"),
        operation_id=f"{step}Sale",
        summary=f"{step.capitalize()} a sale",
        tags=["sales"],
    )
    async def take_step(
        request: Asked,
        sale_id: SaleId,
        data: StepReason = StepReason(),  # noqa: B008 - frozen
        idempotency_key: IdempotencyKey = None,
    ) -> Response[SaleBody]:
        actor = request.user

        async def work(command_id: str) -> Answer:
            view = await desk.move(actor, sale_id, step, data.reason, command_id)
            return Answer(200, msgspec.json.encode(sale_body(view)))

        same = await same_request(request, idempotency_key)
        command_id = fresh("sal", slot_in(actor.id), clock)
        return cast("Response[SaleBody]", answer(await idempotency.run(same, command_id, work)))

    return take_step


def _sales(desk: SaleDesk, projected: Projected) -> tuple[HTTPRouteHandler, ...]:
    @get("/api/v1/sales", responses=refusals(), operation_id="listSales", tags=["sales"])
    async def list_sales(
        in_state: InState = None,
        of_merchant: OfMerchant = None,
        limit: Limit = cursors.DEFAULT_LIMIT,
        cursor: Cursor = None,
        after: After = None,
    ) -> SalePage:
        """Return sales, newest first; drafts are left out."""
        await projected.demand(after, AFTER_SECONDS)
        found, following = await read.list_sales(limit, cursor, state=in_state, merchant_id=of_merchant)
        return SalePage([sale_body(desk.freshen(view)) for view in found], following)

    @get(
        "/api/v1/sales/{sale_id:str}",
        responses=refusals("not_found", "fenced"),
        operation_id="getSale",
        tags=["sales"],
    )
    async def get_sale(sale_id: SaleId) -> SaleBody:
        """Return a sale as it is now."""
        return sale_body(await desk.get(sale_id))

    @get(
        "/api/v1/sales/{sale_id:str}/audit",
        guards=[requires("merchant", "operator")],
        security=BEARER,
        responses=refusals(*_AUTH, "not_found", "fenced"),
        operation_id="auditSale",
        tags=["sales"],
    )
    async def audit_sale(request: Asked, sale_id: SaleId) -> Audit:
        """Count a sale from its log alone."""
        return await desk.audit(request.user, sale_id)

    return list_sales, get_sale, audit_sale


def _holds(desk: SaleDesk) -> tuple[HTTPRouteHandler, ...]:
    @get(
        "/api/v1/holds/{hold_id:str}",
        guards=[requires("buyer")],
        security=BEARER,
        responses=refusals(*_AUTH, "not_found", "fenced", "overloaded", "outcome_unknown"),
        operation_id="getHold",
        tags=["holds"],
    )
    async def get_hold(request: Asked, hold_id: HoldId) -> HoldBody:
        """Return a hold of the caller."""
        return hold_body(await desk.find_hold(hold_id, request.user.id))

    @delete(
        "/api/v1/holds/{hold_id:str}",
        guards=[requires("buyer")],
        security=BEARER,
        responses=refusals(*_WRITE, "not_found", "wrong_state", "hold_expired", "hold_released"),
        operation_id="releaseHold",
        tags=["holds"],
    )
    async def release_hold(request: Asked, hold_id: HoldId) -> None:
        """Give the units of a hold back; repeating it changes nothing."""
        await desk.release(hold_id, request.user.id)

    return get_hold, release_hold
