"""What a feature hands to the composition root, and what it is built from."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from litestar.openapi.spec import PathItem
from litestar.types import ControllerRouterHandler
from nats.aio.client import Client
from redis.asyncio import Redis

from cells.config import CellConfig
from cells.kernel.clock import Clock
from cells.log.port import Log
from cells.telemetry.instruments import Histogram, Metrics
from cells.tokens import Keyring
from server.web.auth import Authenticator
from server.web.idempotency import Idempotency
from server.web.limits import Limits

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Parts(msgspec.Struct, frozen=True):
    """The long-lived things of an api process, shared by all features. `bus` is core NATS, never the log."""

    config: CellConfig
    clock: Clock
    log: Log
    bus: Client
    valkey: Redis
    keyring: Keyring
    authenticator: Authenticator
    limits: Limits
    idempotency: Idempotency
    metrics: Metrics


class HotRoute(msgspec.Struct, frozen=True):
    """A path that bypasses the framework: `<prefix><id><suffix>`.

    `handler(scope, body, send)` gets the whole body, read within its limits. It has to answer by itself and may
    raise `Rejected` before it has sent anything. `seconds` is told how long each request took.
    """

    method: str
    prefix: str
    suffix: str
    handler: Callable[[dict[str, Any], bytes, Send], Awaitable[None]]
    seconds: Histogram


class Feature(msgspec.Struct, frozen=True):
    """One feature of the shop, assembled by its `feature.py`.

    `background` runs for as long as the process serves; if one of them fails, the process ends and is started
    again. `health` names parts and says `ok` or what is wrong. `operations` describe the hot routes.
    """

    name: str
    routes: tuple[ControllerRouterHandler, ...] = ()
    hot: tuple[HotRoute, ...] = ()
    operations: Mapping[str, PathItem] = {}
    background: tuple[Callable[[], Awaitable[None]], ...] = ()
    health: Mapping[str, Callable[[], str]] = {}
