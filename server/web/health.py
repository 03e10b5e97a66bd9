"""Is this process alive, can it serve, what has it counted, and where does an id live."""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from cells.kernel.errors import Rejected
from cells.kernel.ids import BadId, slot_in
from server.web.auth import Authenticator, demand
from server.web.feature import Parts
from server.web.problem import refusals

EPOCH = 1
"""Epoch of the placement: it grows when slots move between cells, which they do not do yet."""

Checks = Callable[[], Mapping[str, str]]


class Live(msgspec.Struct, frozen=True):
    """The event loop turns."""

    status: Literal["live"] = "live"


class Ready(msgspec.Struct, frozen=True):
    """Whether requests are served. `parts` says `ok` or what is wrong; only some of them stop the serving."""

    status: Literal["ready", "unready"]
    cell: str
    parts: dict[str, str]


UNREADY = ResponseSpec(Ready, description="not ready", media_type="application/json", generate_examples=False)


class Place(msgspec.Struct, frozen=True):
    """The cell that an id lives in."""

    cell: str
    api: str
    realtime: str
    epoch: int


VITAL = frozenset({"api", "log", "writer"})
"""Without these nothing can be acknowledged. Valkey and Postgres only make a cell slower or its lists unreadable."""


def handlers(parts: Parts, checks: Checks, scrape: Callable[[], str]) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""
    config = parts.config

    @get("/health/live", responses=refusals(), operation_id="live", tags=["health"])
    async def live() -> Live:
        """Answer as long as the process can."""
        return Live()

    @get("/health/ready", responses={**refusals(), 503: UNREADY}, operation_id="ready", tags=["health"])
    async def ready() -> Response[Ready]:
        """Say whether requests are served, and the state of each part."""
        found = dict(checks())
        well = all(state == "ok" for part, state in found.items() if part in VITAL)
        return Response(
            Ready("ready" if well else "unready", config.cell, found),
            status_code=200 if well else 503,
            headers={} if well else {"retry-after": "1"},
        )

    @get(
        "/metrics",
        media_type="text/plain; version=0.0.4",
        responses=refusals("unauthenticated", "token_expired", "forbidden"),
        operation_id="metrics",
        tags=["health"],
    )
    async def metrics(request: Request[Any, Any, Any]) -> str:
        """Return what the cell's processes have counted as Prometheus text, to loopback and to operators."""
        if not _is_loopback(request):
            authenticator: Authenticator = request.app.state.authenticator
            demand(await authenticator.actor(request.headers.get("authorization")), "operator")
        return scrape()

    @get("/api/v1/route", responses=refusals("not_found"), operation_id="route", tags=["health"])
    async def route(identifier: Annotated[str, QueryParameter(name="id", max_length=64)]) -> Place:
        """Say which cell an id lives in."""
        try:
            slot = slot_in(identifier)
        except BadId:
            raise Rejected("bad_request", "This is not an id of Titan.") from None
        if not any(low <= slot <= high for low, high in config.slots):
            raise Rejected("not_found", f"Slot {slot} is not placed in this cell.")
        return Place(config.cell, config.public_api, config.public_realtime, EPOCH)

    return live, ready, metrics, route


def _is_loopback(request: Request[Any, Any, Any]) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
