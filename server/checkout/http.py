"""Confirming a hold over HTTP."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from server.checkout.adapters import Checkout
from server.checkout.confirm import confirm, order_of
from server.orders.model import Order
from server.payments.decide import Repeated
from server.payments.rules import METHODS
from server.web import problem
from server.web.auth import BEARER, Actor, requires
from server.web.body import Json
from server.web.idempotent_http import IdempotencyKey, demanded
from server.web.problem import refusals

HoldId = Annotated[str, Parameter(max_length=64)]
MethodName = Annotated[
    str,
    msgspec.Meta(
        max_length=64, description="one of the sandbox's", extra_json_schema={"enum": list(METHODS)}
    ),
]


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the buyer pays."""

    payment_method: MethodName


_REFUSALS = (
    "unauthenticated",
    "token_expired",
    "forbidden",
    "idempotency_key_required",
    "payment_declined",
    "not_found",
    "hold_expired",
    "hold_released",
    "conflict",
    "key_reused",
    "overloaded",
    "fenced",
    "outcome_unknown",
)


def handlers(checkout: Checkout) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""

    @post(
        "/api/v1/holds/{hold_id:str}/confirm",
        dto=Json[Confirm],
        guards=[requires("buyer")],
        security=BEARER,
        responses=refusals(*_REFUSALS),
        operation_id="confirmHold",
        tags=["holds"],
    )
    async def confirm_hold(
        request: Request[Actor, Any, Any],
        hold_id: HoldId,
        data: Confirm,
        idempotency_key: IdempotencyKey = None,
    ) -> Response[Order]:
        """Pay for a hold and turn it into an order. Needs an Idempotency-Key; a repeat answers the same order."""
        key = demanded(idempotency_key)
        try:
            paid = await confirm(checkout, hold_id, request.user.id, data.payment_method, key)
        except Repeated as refusal:
            answer = problem.on_error(request, refusal)
            answer.headers["idempotency-replayed"] = "true"
            return answer  # type: ignore[return-value]  # a problem document, which `responses` declares
        headers = {"idempotency-replayed": "true"} if paid.replayed else {}
        return Response(order_of(paid), status_code=201, headers=headers)

    return (confirm_hold,)
