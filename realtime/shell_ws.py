"""The realtime listener: lets clients in, over WebSockets or server-sent events, and sees them out.

A WebSocket costs its handler's task and no other: pings, expiries and closes that nobody answers come
up on one timing wheel. Event frames are encoded once and written straight to the transports.
"""

import asyncio
import random
import socket
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from realtime import handshake, protocol
from realtime.codes import CloseCode
from realtime.connection import Connection, behind_door, library_log
from realtime.desk import SPREAD_MS, Desk
from realtime.door import Census
from realtime.handshake import Stream, Turned
from realtime.leave import Leave
from realtime.outbox import HIGH_WATER, LOW_WATER
from realtime.peer import CLOSE_GRACE_MS, Peer
from realtime.rate import Bucket, Rate
from realtime.session import Session, State
from realtime.shell_sse import EventStream

_log = structlog.get_logger(__name__)

HANDSHAKES: Final = Rate(per_second=300, burst=300)
MAX_CONNECTIONS: Final = 20_000
# TCP connections beyond the cap that are still told 503; more than these are cut unheard.
MAX_UNDECIDED: Final = 512
RETRY_AFTER_SECONDS: Final = 1
OPEN_SECONDS: Final = 5
READ_AHEAD_FRAMES: Final = 4
# Fixed, because the kernel's autotuning would put megabytes behind every reader that stands still.
SEND_BUFFER: Final = 128 * 1024
BACKLOG: Final = 1_024


class Settings(msgspec.Struct, frozen=True):
    """How a listener behaves; the defaults are those of a deployed one."""

    origins: frozenset[str]
    handshakes: Rate | None = HANDSHAKES
    max_connections: int = MAX_CONNECTIONS
    send_buffer: int = SEND_BUFFER


class Shell:
    """The listener of one hub. Belongs to one event loop."""

    def __init__(self, settings: Settings, desk: Desk) -> None:
        self._settings = settings
        self._desk = desk
        self._census = Census(settings.max_connections + MAX_UNDECIDED)
        self._handshakes = None if settings.handshakes is None else Bucket(settings.handshakes, desk.clock())
        self._server: Server | None = None
        self._streams: set[EventStream] = set()

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
            create_connection=behind_door(self._census, self._stream),  # type: ignore[arg-type]  # a factory will do
        )
        return int(listening.getsockname()[1])

    def _stream(self) -> EventStream:
        return EventStream(self, self._census)

    def session(self) -> Session:
        """Answer the session of a new connection."""
        return Session(
            uuid.uuid4().hex,
            self._desk.settings.node,
            self._desk.clock(),
            jitter=random.random(),  # noqa: S311 - spreads pings
            limits=self._desk.settings.limits,
        )

    # --- letting in ---

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        offered = ", ".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        origin = _origin(request.headers.get_all("Origin"))
        turned = handshake.refusal(request.path, origin, offered, self._settings.origins) or self._crowded()
        if turned is None:
            return None
        response = connection.respond(turned.status, turned.detail + "\n")
        if turned.retry_after is not None:
            response.headers["Retry-After"] = str(turned.retry_after)
        return response

    def admit_stream(self, target: str, origins: Sequence[str], last_event_id: str | None) -> Stream | Turned:
        """Answer which events a request gets, or why none."""
        stream = handshake.stream_of(target, _origin(origins), last_event_id, self._settings.origins)
        return stream if isinstance(stream, Turned) else self._crowded() or stream

    def enter_stream(self, stream: EventStream) -> Peer:
        """Take a stream of events as a connection."""
        self._streams.add(stream)
        peer = Peer(stream, self.session(), self._desk)
        self._desk.enter(peer)
        return peer

    def leave_stream(self, stream: EventStream) -> None:
        """Forget a stream whose connection is over."""
        self._streams.discard(stream)

    def now(self) -> int:
        """Answer the connections' time."""
        return self._desk.clock()

    def _crowded(self) -> Turned | None:
        if self._desk.draining:
            return _busy("This hub is leaving.")
        if self._census.present > self._settings.max_connections:
            return _busy("This hub has all the connections it can hold.")
        if self._handshakes is not None and self._handshakes.take(self._desk.clock()) > 0:
            return _busy("Too many clients are connecting at this moment.")
        return None

    async def _attend(self, connection: ServerConnection) -> None:
        if not isinstance(connection, Connection):
            raise TypeError(connection)
        session = self.session()
        peer = connection.listener = Peer(connection, session, self._desk)
        self._desk.enter(peer)
        try:
            async for message in connection:
                # Read on after a close: the answer to it comes behind what was already sent.
                peer.perform(session.receive(message, self._desk.clock()))
                if session.state is State.VERIFYING:
                    await peer.decided()
        except ConnectionClosed:
            pass  # every way to lose a client ends the same
        except Exception:  # noqa: BLE001 - a fault of ours is told to the client by its code, and logged
            _log.exception("session failed")
            peer.close(CloseCode.INTERNAL)
        finally:
            peer.end()

    # --- the end ---

    def stop_accepting(self) -> None:
        """Listen no more; connections stay."""
        if self._server is not None:
            self._server.close(close_connections=False)

    async def drain(self, leave: Leave, seconds: float) -> None:
        """Stop accepting; send everybody to another hub; close with 4012 who is left, and be done in `seconds`."""
        if self._server is None:
            return
        self.stop_accepting()
        await self._desk.go_away(leave)
        try:
            async with asyncio.timeout(seconds):
                await self._desk.close_all(CloseCode.DRAINING, SPREAD_MS)
                await self._server.wait_closed()
        except TimeoutError:
            for connection in list(self._server.all_connections):
                connection.transport.abort()
            for stream in list(self._streams):
                stream.cut()
        self._desk.cancel()


def _origin(values: Sequence[str]) -> str | None:
    return ", ".join(values) or None


def _busy(detail: str) -> Turned:
    return Turned(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY_AFTER_SECONDS)
