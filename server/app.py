"""The api role, assembled: the long-lived things, the features, the server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar import Litestar, Request, Response
from litestar.datastructures import State

from cells import tokens
from cells.config import CellConfig
from cells.kernel.clock import Clock, SystemClock
from cells.log.jetstream import JetStreamLog
from cells.process import Process
from cells.telemetry.collect import Collected
from cells.telemetry.instruments import Metrics
from cells.telemetry.publish import Sampler
from server import valkey
from server.accounts import feature as accounts
from server.accounts.operators import OperatorKeys
from server.accounts.passwords import Passwords
from server.catalogue import feature as catalogue
from server.chat import feature as chat
from server.checkout import feature as checkout
from server.feed import feature as feed
from server.flash_sale import feature as flash_sale
from server.ops import feature as ops
from server.orders import feature as orders
from server.push import feature as push
from server.store import engine
from server.store.waiting import Projected
from server.web import asyncapi, health, limits
from server.web.auth import Authenticator
from server.web.edge import Edge
from server.web.feature import Feature, Parts
from server.web.idempotency import Idempotency
from server.web.methods import Methods, stand_ins
from server.web.openapi import DocumentPage, complete, openapi_config
from server.web.problem import SAFE_METHODS, on_error
from server.web.revocations import Revocations
from server.webhooks import feature as webhooks

_log = structlog.get_logger(__name__)

DRAIN_SECONDS = 2.0
WATCH_SECONDS = 0.25
BACKLOG = 16_384
HEADER_MS = 5_000
DATABASE_CONNECTIONS = 8


@contextlib.asynccontextmanager
async def opened(
    config: CellConfig, process: str, clock: Clock, revocations: Revocations
) -> AsyncIterator[Parts]:
    """Build the long-lived things, and close them in the opposite order."""
    async with contextlib.AsyncExitStack() as stack:
        log = await JetStreamLog.open(config.nats_url, Path(config.data) / "marks", process)
        stack.push_async_callback(log.close)
        cache = valkey.connect(config.redis_url)
        stack.push_async_callback(cache.aclose, close_connection_pool=True)
        keyring = tokens.load_or_create_keys(Path(config.data) / "keys")
        metrics = Metrics()
        yield Parts(
            config=config,
            clock=clock,
            log=log,
            bus=log.client,
            valkey=cache,
            keyring=keyring,
            authenticator=Authenticator(
                keyring.verifier(), revocations, clock, OperatorKeys(log, clock).check
            ),
            limits=limits.Limits(cache, clock, metrics, cell=config.cell, enabled=config.rate_limits),
            idempotency=Idempotency(log, clock),
            metrics=metrics,
        )


def features(
    parts: Parts, revocations: Revocations, passwords: Passwords, projected: Projected
) -> tuple[Feature, ...]:
    """List the features of the shop."""
    sales, talkers = flash_sale.writer_client(parts), chat.writer_client(parts)
    return (
        accounts.assemble(parts, revocations, passwords),
        catalogue.assemble(parts, projected),
        flash_sale.assemble(parts, sales, projected),
        checkout.assemble(parts, sales),
        orders.assemble(parts, projected),
        chat.assemble(parts, talkers, projected),
        feed.assemble(parts),
        webhooks.assemble(parts),
        push.assemble(parts),
        ops.assemble(parts, sales, talkers, projected),
    )


def create_app(
    parts: Parts, listed: Sequence[Feature], checks: health.Checks, scrape: Callable[[], str]
) -> Edge:
    """Return the ASGI application: the framework with every feature's routes, inside the edge."""
    methods, page = Methods(), DocumentPage()
    operations = {path: item for feature in listed for path, item in feature.operations.items()}

    async def admit(request: Request[Any, Any, Any]) -> Response[None] | None:
        await _admit(parts.limits, request)
        return methods.answer(request)

    app = Litestar(
        route_handlers=[
            *health.handlers(parts, checks, scrape),
            asyncapi.handler(parts.config.public_realtime),
            *(r for f in listed for r in f.routes),
            *stand_ins(operations),
        ],
        exception_handlers={Exception: on_error},
        before_request=admit,
        openapi_config=openapi_config(parts.config.public_api, page),
        logging_config=None,
        request_max_body_size=None,
        state=State({"authenticator": parts.authenticator}),
    )
    methods.learn(app)
    page.body = complete(app, operations)
    return Edge(
        app,
        cell=parts.config.cell,
        origins=parts.config.origins,
        hot=[route for f in listed for route in f.hot],
        clock=parts.clock,
        metrics=parts.metrics,
    )


async def _admit(limit: limits.Limits, request: Request[Any, Any, Any]) -> None:
    if request.url.path.startswith("/health/"):
        return
    address = limits.address_of(request.scope)
    if request.method in SAFE_METHODS:
        await limit.admit(limits.READS, address)
    else:
        user = request.scope.get("user")
        await limit.admit(limits.WRITES, user.id if user is not None else address)


async def main(config: CellConfig, process: Process) -> None:
    """Serve until told to stop, then drain."""
    clock, revocations, passwords, projected = SystemClock(), Revocations(), Passwords(), Projected()
    async with opened(config, process.name, clock, revocations) as parts:
        await projected.start(parts.bus, config.cell, parts.log)
        listed = features(parts, revocations, passwords, projected)
        checks = _checks(parts, process, listed)
        sampler, collected = Sampler(parts.metrics, process.name, clock), Collected()
        await collected.start(parts.bus, config.cell)

        def scrape() -> str:
            collected.add(sampler.sample())
            return collected.render()

        edge = create_app(parts, listed, checks, scrape)
        background: list[Callable[[], Awaitable[None]]] = [
            lambda: engine.keep(config.database_url, connections=DATABASE_CONNECTIONS),
            lambda: sampler.publish(parts.bus, config.cell),
            *(job for feature in listed for job in feature.background),
        ]
        try:
            await _serve(edge, parts, process, background)
        finally:
            passwords.close()


async def _serve(
    edge: Edge, parts: Parts, process: Process, background: Sequence[Callable[[], Awaitable[None]]]
) -> None:
    """Run the server and the background jobs. Whichever of them ends by itself ends the process."""
    server = Server(
        edge,
        parts.config.host,
        parts.config.api_port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS),
        log_access=False,
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    jobs = [asyncio.ensure_future(job()) for job in background]
    watching = asyncio.create_task(_watch(parts, process))
    stopping = asyncio.create_task(process.stopping.wait())
    tasks = [serving, watching, *jobs]
    try:
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
                msg = "a part of the api process ended by itself"
                raise RuntimeError(msg)
        edge.draining = True
        if not await edge.drained(DRAIN_SECONDS):
            _log.warning("requests were cut off by the drain", in_flight=edge.in_flight)
    finally:
        for task in (watching, stopping, *jobs):
            task.cancel()
        await asyncio.gather(watching, stopping, *jobs, return_exceptions=True)
        if not serving.done():
            server.stop()  # type: ignore[no-untyped-call]  # granian has no annotations here
            await serving


async def _watch(parts: Parts, process: Process) -> None:
    """Report `serving` or `fenced`, on every change."""
    while True:
        fenced = parts.log.fenced
        state, detail = ("fenced", fenced) if fenced else ("serving", "")
        if not process.stopping.is_set() and (process.state, process.detail) != (state, detail):
            process.report(state, detail)  # type: ignore[arg-type]  # a tuple of literals is widened to str
        await asyncio.sleep(WATCH_SECONDS)


def _checks(parts: Parts, process: Process, listed: Sequence[Feature]) -> health.Checks:
    def checks() -> Mapping[str, str]:
        found = {
            "api": "draining" if process.stopping.is_set() else "ok",
            "log": f"fenced: {parts.log.fenced}" if parts.log.fenced else _bus(parts),
            "valkey": parts.limits.state,
            "postgres": "ok" if engine.DB.pool is not None else "not connected",
        }
        for feature in listed:
            found |= {name: read() for name, read in feature.health.items()}
        return found

    return checks


def _bus(parts: Parts) -> str:
    return "ok" if parts.bus.is_connected else "disconnected"
