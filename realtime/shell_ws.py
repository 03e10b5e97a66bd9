"""The realtime listener: lets clients in, joins them to channels, and sees them out.

A connection costs its handler's task and no other: pings, expiries and closes that nobody answers come
up on one timing wheel. Event frames are encoded once and written straight to the transports, which is
right because no extension is negotiated.
"""

import asyncio
import random
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from cells.tokens import TokenInvalid
from realtime import handshake, protocol
from realtime.connection import Census, Connection, counted, library_log
from realtime.feed import FeedUnavailable, SaleFeed, UnknownSale
from realtime.handshake import Turned
from realtime.hub import Hub
from realtime.outbox import HIGH_WATER, LOW_WATER, STUCK_MS
from realtime.peer import CLOSE_GRACE_MS, Peer
from realtime.protocol import CloseCode
from realtime.rate import Bucket, Rate
from realtime.session import (
    Effect,
    Identity,
    Joined,
    Limits,
    NotJoined,
    Purpose,
    Session,
    Subscribe,
    VerifyToken,
    Wanted,
)
from realtime.tokens import TokenVerifier
from realtime.views import SaleView
from realtime.wheel import STEP_MS, Wheel

_log = structlog.get_logger(__name__)

HANDSHAKES: Final = Rate(per_second=300, burst=300)
MAX_CONNECTIONS: Final = 20_000
# TCP connections beyond the cap that are still told 503; more than these are cut unheard.
MAX_UNDECIDED: Final = 512
# Lookups of sales under way for subscribers. Full policy: refused as unavailable.
MAX_JOINING: Final = 4_096
RETRY_AFTER_SECONDS: Final = 1
OPEN_SECONDS: Final = 5
READ_AHEAD_FRAMES: Final = 4
# Fixed, because the kernel's autotuning would put megabytes behind every reader that stands still.
SEND_BUFFER: Final = 128 * 1024
BACKLOG: Final = 1_024
CLOSES_BETWEEN_YIELDS: Final = 256


def monotonic_ms() -> int:
    """Answer ms of a clock that only goes forward."""
    return time.monotonic_ns() // 1_000_000


def epoch_ms() -> int:
    """Answer ms since the Unix epoch."""
    return time.time_ns() // 1_000_000


class Settings(msgspec.Struct, frozen=True):
    """How a listener behaves; the defaults are those of a deployed one."""

    node: str
    origins: frozenset[str]
    limits: Limits = Limits()
    handshakes: Rate | None = HANDSHAKES
    max_connections: int = MAX_CONNECTIONS
    stuck_ms: int = STUCK_MS
    send_buffer: int = SEND_BUFFER


class Shell:
    """The listener and what its connections share. Belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        hub: Hub,
        feed: SaleFeed,
        verifier: TokenVerifier,
        clock: Callable[[], int] = monotonic_ms,
    ) -> None:
        self.clock = clock
        self.stuck_ms = settings.stuck_ms
        self.wheel: Wheel[Peer] = Wheel(clock())
        self._settings = settings
        self._hub = hub
        self._feed = feed
        self._verifier = verifier
        self._census = Census(settings.max_connections + MAX_UNDECIDED)
        self._handshakes = None if settings.handshakes is None else Bucket(settings.handshakes, clock())
        self._peers: dict[Peer, str | None] = {}
        self._sockets: Counter[str] = Counter()
        self._joining: set[asyncio.Task[None]] = set()
        self._server: Server | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._peers)

    # --- the listener ---

    async def open(self, host: str, port: int) -> int:
        """Listen, sharing the port with other hubs of the cell; answer the port. Raises OSError."""
        listening = socket.create_server((host, port), backlog=BACKLOG, reuse_port=True)
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._settings.send_buffer)
        self._server = await serve(
            self._attend,
            sock=listening,
            backlog=BACKLOG,
            subprotocols=[Subprotocol(protocol.SUBPROTOCOL)],
            compression=None,
            process_request=self._admit,
            server_header=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=None,
            close_timeout=CLOSE_GRACE_MS / 1000,
            max_queue=READ_AHEAD_FRAMES,
            write_limit=(HIGH_WATER, LOW_WATER),
            logger=library_log,
            create_connection=counted(self._census),
        )
        return int(listening.getsockname()[1])

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        turned = self._turned(request)
        if turned is None:
            return None
        response = connection.respond(turned.status, turned.detail + "\n")
        if turned.retry_after is not None:
            response.headers["Retry-After"] = str(turned.retry_after)
        return response

    def _turned(self, request: Request) -> Turned | None:
        origin = ", ".join(request.headers.get_all("Origin")) or None
        offered = ", ".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        turned = handshake.refusal(request.path, origin, offered, self._settings.origins)
        if turned is not None:
            return turned
        if self._census.present > self._settings.max_connections:
            return _busy("This hub has all the connections it can hold.")
        if self._handshakes is not None and self._handshakes.take(self.clock()) > 0:
            return _busy("Too many clients are connecting at this moment.")
        return None

    async def _attend(self, connection: ServerConnection) -> None:
        if not isinstance(connection, Connection):
            raise TypeError(connection)
        session = Session(
            uuid.uuid4().hex,
            self._settings.node,
            self.clock(),
            jitter=random.random(),  # noqa: S311 - spreads pings
            limits=self._settings.limits,
        )
        peer = connection.listener = Peer(connection, session, self)
        self._peers[peer] = None
        peer.arm()
        try:
            async for message in connection:
                # Read on after a close: the answer to it comes behind what was already sent.
                peer.perform(session.receive(message, self.clock()))
        except ConnectionClosed:
            pass  # every way to lose a client ends the same
        except Exception:  # noqa: BLE001 - a fault of ours is told to the client by its code, and logged
            _log.exception("session failed")
            peer.close(CloseCode.INTERNAL)
        finally:
            session.end()
            self.forget(peer)

    # --- what peers ask ---

    def verify(self, peer: Peer, asked: VerifyToken) -> list[Effect]:
        """Answer what follows from a token, and note whose connection this is."""
        now, today = self.clock(), epoch_ms()
        try:
            claims = self._verifier(asked.token, today)
        except TokenInvalid as invalid:
            return peer.session.token_refused(asked, invalid.code)
        identity = Identity(claims.sub, claims.role, claims.sid, claims.exp - today)
        effects = peer.session.verified(asked, identity, self._sockets[claims.sub], now)
        if asked.purpose is Purpose.HELLO and peer.session.identity is identity:
            self._peers[peer] = claims.sub
            self._sockets[claims.sub] += 1
        peer.arm()
        return effects

    def subscribe(self, peer: Peer, asked: Subscribe) -> None:
        """Join channels in one step, after looking up the sales that are not at hand."""
        missing = [
            wanted.channel.id
            for wanted in asked.wanted
            if self._hub.channel(wanted.channel) is None and self._feed.known(wanted.channel.id) is None
        ]
        if not missing:
            self._join(peer, asked, {})
        elif len(self._joining) >= MAX_JOINING:
            self._join(peer, asked, dict.fromkeys(missing, NotJoined("unavailable")))
        else:
            task = asyncio.create_task(self._look_up(peer, asked, missing))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)

    async def _look_up(self, peer: Peer, asked: Subscribe, missing: list[str]) -> None:
        found = await asyncio.gather(*(self._find(sale_id) for sale_id in missing))
        self._join(peer, asked, dict(zip(missing, found, strict=True)))

    async def _find(self, sale_id: str) -> SaleView | NotJoined:
        try:
            return await self._feed.get(sale_id)
        except UnknownSale:
            return NotJoined("not_found")
        except FeedUnavailable:
            return NotJoined("unavailable")

    def _join(self, peer: Peer, asked: Subscribe, found: dict[str, SaleView | NotJoined]) -> None:
        # No await from here on, so that no event comes between the state in the reply and the next one.
        if peer.session.closed:
            return
        outcomes = tuple(self._join_one(peer, wanted, found) for wanted in asked.wanted)
        peer.perform(peer.session.subscribed(asked, outcomes, self.clock()))

    def _join_one(
        self, peer: Peer, wanted: Wanted, found: dict[str, SaleView | NotJoined]
    ) -> Joined | NotJoined:
        channel = self._hub.channel(wanted.channel)
        if channel is None:
            view = self._feed.known(wanted.channel.id) or found[wanted.channel.id]
            if isinstance(view, NotJoined):
                return view
        else:
            view = channel.told
        channel = self._hub.join(wanted.channel, peer, self._feed.epoch, view)
        peer.channels.add(channel.n)
        peer.outbox.caught_up(channel)
        return Joined(channel.state(wanted.epoch, wanted.since))

    def unsubscribe(self, peer: Peer, n: int) -> None:
        """Leave a channel."""
        peer.channels.discard(n)
        self._hub.leave(n, peer)

    def forget(self, peer: Peer) -> None:
        """Leave every channel and give up the place."""
        for n in peer.channels:
            self._hub.leave(n, peer)
        peer.channels.clear()
        user = self._peers.pop(peer, None)
        if user is not None:
            self._sockets[user] -= 1
            if self._sockets[user] == 0:
                del self._sockets[user]

    # --- time ---

    async def run(self) -> None:
        """Turn the wheel, for ever."""
        while True:
            await asyncio.sleep(STEP_MS / 1000)
            now = self.clock()
            for count, peer in enumerate(self.wheel.turn(now), 1):
                try:
                    peer.wake(now)
                except Exception:  # noqa: BLE001 - one connection's fault must not stop everybody's deadlines
                    _log.exception("deadline failed")
                    peer.connection.cut()
                if count % CLOSES_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)

    # --- the end ---

    async def close_all(self, code: int, spread_ms: int) -> None:
        """Close every client with a `retry_ms` of its own, up to `spread_ms`, so that they come back apart."""
        for count, peer in enumerate(list(self._peers), 1):
            peer.close(code, random.randrange(spread_ms + 1))  # noqa: S311 - spreads load
            if count % CLOSES_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)

    async def drain(self, spread_ms: int, seconds: float) -> None:
        """Stop accepting, send everybody away with 4012, and be done within `seconds`."""
        if self._server is None:
            return
        self._server.close(close_connections=False)
        try:
            async with asyncio.timeout(seconds):
                await self.close_all(CloseCode.DRAINING, spread_ms)
                await self._server.wait_closed()
        except TimeoutError:
            for connection in list(self._server.all_connections):
                connection.transport.abort()
        for task in self._joining:
            task.cancel()


def _busy(detail: str) -> Turned:
    return Turned(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY_AFTER_SECONDS)
