"""What operators do to sales. Each action is an event of the sale, with who, why and when.

Each needs an Idempotency-Key, and takes the revision of the sale that the operator saw: a sale that somebody else
or the clock has moved meanwhile answers `conflict`, and nothing is done.
"""

from collections.abc import Awaitable, Callable
from typing import cast

import msgspec
from litestar import Response, post
from litestar.handlers import HTTPRouteHandler

from cells.kernel.chance import fresh
from cells.kernel.clock import Clock
from cells.kernel.ids import slot_in
from server.flash_sale.desk import SaleDesk
from server.flash_sale.model import Step
from server.flash_sale.showing import SaleView
from server.ops.bodies import SaleAfter, Steering, Stopping, Throttling, sale_after
from server.ops.parameters import WRITE, Asked, SaleId, for_
from server.web.body import Json
from server.web.idempotency import Answer, Idempotency
from server.web.idempotent_http import IdempotencyKey, answer, demanded, same_request
from server.web.problem import refusals

STEERING: tuple[Step, ...] = ("arm", "open", "pause", "resume")
STOPPING: tuple[Step, ...] = ("end", "kill")

OPERATOR = {"status_code": 200, "responses": refusals(*WRITE, "wrong_state"), **for_("operator")}


class Acting(msgspec.Struct, frozen=True):
    """What actions are taken with."""

    desk: SaleDesk
    idempotency: Idempotency
    clock: Clock

    async def once(
        self, request: Asked, key: str | None, act: Callable[[str], Awaitable[SaleView]]
    ) -> Response[SaleAfter]:
        """Act under a key, with an id that makes the command a repeat of itself. Raises `Rejected`."""

        async def work(command_id: str) -> Answer:
            return Answer(200, msgspec.json.encode(sale_after(await act(command_id))))

        same = await same_request(request, demanded(key))
        command_id = fresh("sal", slot_in(request.user.id), self.clock)
        return cast("Response[SaleAfter]", answer(await self.idempotency.run(same, command_id, work)))


def handlers(acting: Acting) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""
    return (
        *(_steer(acting, step) for step in STEERING),
        *(_stop(acting, step) for step in STOPPING),
        _throttle(acting),
    )


def _steer(acting: Acting, step: Step) -> HTTPRouteHandler:
    @post(
        f"/api/v1/ops/sales/{{sale_id:str}}/{step}",
        dto=Json[Steering],
        operation_id=f"ops{step.capitalize()}Sale",
        summary=f"{step.capitalize()} any merchant's sale",
        **OPERATOR,
    )
    async def steer(
        request: Asked,
        sale_id: SaleId,
        data: Steering = Steering(),  # noqa: B008 - frozen
        idempotency_key: IdempotencyKey = None,
    ) -> Response[SaleAfter]:
        async def act(command_id: str) -> SaleView:
            return await acting.desk.move(
                request.user, sale_id, step, data.reason, command_id, data.expected_revision
            )

        return await acting.once(request, idempotency_key, act)

    return steer


def _stop(acting: Acting, step: Step) -> HTTPRouteHandler:
    @post(
        f"/api/v1/ops/sales/{{sale_id:str}}/{step}",
        dto=Json[Stopping],
        operation_id=f"ops{step.capitalize()}Sale",
        summary=f"{step.capitalize()} any merchant's sale, for a reason",
        **OPERATOR,
    )
    async def stop(
        request: Asked, sale_id: SaleId, data: Stopping, idempotency_key: IdempotencyKey = None
    ) -> Response[SaleAfter]:
        async def act(command_id: str) -> SaleView:
            return await acting.desk.move(
                request.user, sale_id, step, data.reason, command_id, data.expected_revision
            )

        return await acting.once(request, idempotency_key, act)

    return stop


def _throttle(acting: Acting) -> HTTPRouteHandler:
    @post(
        "/api/v1/ops/sales/{sale_id:str}/throttle",
        dto=Json[Throttling],
        operation_id="opsThrottleSale",
        **OPERATOR,
    )
    async def throttle(
        request: Asked, sale_id: SaleId, data: Throttling, idempotency_key: IdempotencyKey = None
    ) -> Response[SaleAfter]:
        """Limit the new holds that a sale grants in a second, or lift the limit. Repeats of holds are not counted."""

        async def act(command_id: str) -> SaleView:
            return await acting.desk.throttle(
                request.user, sale_id, data.per_second, data.reason, command_id, data.expected_revision
            )

        return await acting.once(request, idempotency_key, act)

    return throttle
