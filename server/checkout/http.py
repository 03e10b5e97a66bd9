"""Confirming a hold over HTTP: paying for it, and answering once the money is captured, durably.

An answer therefore never says anything but `captured`, and a repeat has the same body as the first.
"""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from cells.kernel.clock import rfc3339
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id
from server.checkout.adapters import Checkout, Paid
from server.flash_sale.wire import key_digest
from server.orders.model import Order
from server.payments.decide import Repeated
from server.payments.rules import METHODS, known_method
from server.web import problem
from server.web.auth import BEARER, Actor, requires
from server.web.body import Json
from server.web.idempotent_http import IdempotencyKey
from server.web.problem import refusals

CONFIRM_SECONDS = 10.0

HoldId = Annotated[str, Parameter(max_length=64)]
MethodName = Annotated[
    str, msgspec.Meta(max_length=64, description=f"one of the sandbox's: {', '.join(METHODS)}")
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


async def confirm(checkout: Checkout, hold_id: str, buyer_id: str, method: str, key: str) -> Paid:
    """Pay for a hold within 10 s. Raises `Rejected`; `outcome_unknown` when that was not enough."""
    known_method(method)
    if not is_id("hld", hold_id):
        raise Rejected("not_found", "There is no such hold, or it is not yours.")
    begun = asyncio.Event()
    try:
        async with asyncio.timeout(CONFIRM_SECONDS):
            return await checkout.pay(hold_id, buyer_id, method, key_digest(buyer_id, key), begun.set)
    except TimeoutError:
        if begun.is_set():
            raise Rejected("outcome_unknown", "The payment is not finished; ask again.") from None
        raise Rejected("unavailable", "The hold could not be read in time; nothing was begun.") from None


def order_of(paid: Paid) -> Order:
    """Describe the order that was paid."""
    placed, hold = paid.payment.order, paid.hold
    if placed is None:
        raise TypeError(f"payment {paid.payment.id} is captured without an order")
    return Order(
        placed.id,
        hold.sale_id,
        hold.hold_id,
        hold.buyer_id,
        hold.merchant_id,
        hold.product_id,
        hold.title,
        list(hold.units),
        len(hold.units),
        hold.price,
        paid.payment.amount,
        rfc3339(placed.placed_at),
        placed.position,
        payment_status="captured",
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
        if idempotency_key is None:
            raise Rejected("idempotency_key_required", "Send an Idempotency-Key header of your choice.")
        try:
            paid = await confirm(checkout, hold_id, request.user.id, data.payment_method, idempotency_key)
        except Repeated as refusal:
            answer = problem.on_error(request, refusal)
            answer.headers["idempotency-replayed"] = "true"
            return answer  # type: ignore[return-value]  # a problem document, which `responses` declares
        headers = {"idempotency-replayed": "true"} if paid.replayed else {}
        return Response(order_of(paid), status_code=201, headers=headers)

    return (confirm_hold,)
