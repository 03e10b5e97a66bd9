"""A hub with its listener on a real nats-server, and the cell's side of it; and clients that speak by hand."""

import asyncio
import contextlib
import json
from typing import Any, Protocol, Self

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from cells.log import connection
from cells.tokens import Claims
from realtime.client import RealtimeClient, Update
from realtime.desk import Desk, DeskSettings, monotonic_ms
from realtime.events import Shown
from realtime.feed_nats import NatsFeed
from realtime.hub import Hub
from realtime.identities import epoch_ms
from realtime.leave import Leave
from realtime.protocol import SUBPROTOCOL
from realtime.session import Limits
from realtime.shell_ws import Settings, Shell
from realtime.source_nats import NatsSource
from realtime.tokens import KnownTokens
from tests.contracts.log_feature import LogFeature
from tests.unit.realtime.builders import SALE

ORIGIN = "https://shop.example"
SOON = 5.0


def people() -> dict[str, Claims]:
    """Tokens by name: ada, bob, cyd and dora are fine, `brief` soon expires, `past` has."""
    now = epoch_ms()

    def one(sub: str, life: int, name: str, role: str = "buyer") -> Claims:
        return Claims(sub=sub, role=role, sid=f"s-{sub}", exp=now + life, iat=now, name=name)

    known = {name: one(f"usr_{name}", 600_000, name.title()) for name in ("ada", "bob", "cyd", "dora")}
    return known | {"brief": one("usr_2", 1_500, "Bea"), "past": one("usr_3", -1, "Eve")}


class Cell:
    """A hub with its listener, and the writer's side of NATS. `hub_only` leaves that side to another one."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        desk: DeskSettings,
        claims: dict[str, Claims],
        *,
        hub_only: bool = False,
        port: int = 0,
    ) -> None:
        self._nats = url
        self._settings = settings
        self._desk = desk
        self._claims = claims
        self._hub_only = hub_only
        self.sales: dict[str, Shown] = {}
        self.port = port
        self.shell: Shell
        self.desk: Desk
        self.feature: LogFeature

    async def __aenter__(self) -> Self:
        self._writer = await connection.connect(self._nats, "writer")
        if not self._hub_only:
            await self._writer.subscribe("cell.c1.sale-get", cb=self._answer)
            self.feature = LogFeature(self._writer)
            await self.feature.start()
        fed: list[Any] = []

        async def reconnected() -> None:
            for each in fed:
                each.reconnected()

        self.client = await connection.connect(self._nats, "hub", on_reconnect=reconnected)
        hub = Hub(monotonic_ms)
        feed = NatsFeed(self.client, "c1", self._epoch)
        feed.watch(hub.publish)
        await feed.start()
        source = NatsSource(self.client, "c1")
        fed += [feed, source]
        self.desk = Desk(self._desk, hub, feed, source, KnownTokens(self._claims))
        await source.start()
        await self.client.flush()
        self.shell = Shell(self._settings, self.desk)
        self._tasks = [asyncio.create_task(self.desk.run()), asyncio.create_task(feed.run(lambda _: None))]
        self.port = await self.shell.open("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shell.drain(Leave(0, 0), 1.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await connection.close(self.client)
        await connection.close(self._writer)

    @property
    def connections(self) -> int:
        return self.desk.connections

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/rt"

    async def put(self, shown: Shown, sale: str = SALE) -> None:
        self.sales[sale] = shown
        await self.tell(f"sale.{sale}", shown)

    async def tell(self, subject: str, shown: Shown) -> None:
        await self._writer.publish(f"cell.c1.{subject}", msgspec.msgpack.encode(shown))

    async def _answer(self, message) -> None:
        await message.respond(msgspec.msgpack.encode(self.sales.get(message.data.decode())))

    async def _epoch(self) -> str:
        return "e1"


def unlimited(desk: DeskSettings) -> DeskSettings:
    return msgspec.structs.replace(desk, limits=Limits(hello_ms=desk.limits.hello_ms, rates=False))


async def dial(cell: Cell, **options: Any) -> ClientConnection:
    options.setdefault("subprotocols", [Subprotocol(SUBPROTOCOL)])
    return await connect(options.pop("url", cell.url), compression=None, ping_interval=None, **options)


async def greeted(cell: Cell, d: dict[str, Any] | None = None, **options: Any) -> ClientConnection:
    client = await dial(cell, **options)
    await say(client, "hello", d or {})
    await hear(client)
    return client


async def say(client: ClientConnection, name: str, d: dict[str, Any], i: int = 1, **more: Any) -> None:
    await client.send(json.dumps({"i": i, "t": name, "d": d, **more}))


async def hear(client: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(client.recv(), SOON))


async def ask(client: ClientConnection, name: str, d: dict[str, Any], i: int = 1, **more: Any) -> Any:
    """Answer the reply to a command; what comes before it is not looked at."""
    await say(client, name, d, i, **more)
    while True:
        frame = await hear(client)
        if isinstance(frame, dict) and frame.get("r") == i:
            return frame


async def close_code(client: ClientConnection) -> int:
    async with asyncio.timeout(SOON):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.recv()
    assert client.close_code is not None
    return client.close_code


async def read_until(client: RealtimeClient, position: int) -> list[Update]:
    seen = []
    async with asyncio.timeout(SOON):
        async for update in client.updates():
            seen.append(update)
            if update.position >= position:
                break
    return seen


class Listens(Protocol):
    """Where clients connect: a hub here or in a process of its own."""

    @property
    def url(self) -> str: ...


def as_(cell: Listens, name: str | None = None, **options: Any) -> RealtimeClient:
    """A client of a person, or of nobody."""

    async def token() -> str:
        assert name is not None
        return name

    return RealtimeClient(cell.url, token=None if name is None else token, **options)
