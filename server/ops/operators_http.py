"""Who has a key, and the end of keys: for admins. Keys are made on the machine, with `titan operator create`."""

from typing import Annotated

from litestar import delete, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.log.port import Log
from server.accounts import operators
from server.ops.bodies import OperatorPage, OperatorRow
from server.ops.parameters import AUTH, Asked, for_
from server.web.problem import refusals

ADMIN = for_("admin")

OperatorName = Annotated[str, Parameter(max_length=63)]


def handlers(log: Log, clock: Clock) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""

    @get(
        "/api/v1/ops/operators", responses=refusals(*AUTH, "fenced"), operation_id="opsListOperators", **ADMIN
    )
    async def list_operators() -> OperatorPage:
        """Return everybody who has a key; never the keys."""
        found = await operators.everyone(log)
        return OperatorPage([OperatorRow(o.operator_id, o.name, o.role, o.created_at) for o in found])

    @delete(
        "/api/v1/ops/operators/{name:str}",
        responses=refusals(*AUTH, "not_found", "conflict", "fenced", "outcome_unknown"),
        operation_id="opsRevokeOperator",
        **ADMIN,
    )
    async def revoke_operator(request: Asked, name: OperatorName) -> None:
        """End somebody's key; every process refuses it within 5 s, and sockets that came with it are closed."""
        if not operators.NAME.fullmatch(name):
            raise Rejected("not_found", "There is no such operator.")
        await operators.revoke(log, clock, name, request.user)

    return list_operators, revoke_operator
