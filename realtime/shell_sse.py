"""Server-sent events: the same session over a plain HTTP response, for places where WebSockets are blocked.

`GET /sse?ch=sale:<id>`. Every `data:` is a frame of the protocol, as a WebSocket would carry it; `id:` is where
the client is, and comes back as `Last-Event-ID` on a reconnect. The client cannot answer, so what its
kernel took counts as a sign of life, and TCP itself finds out when nobody is there to take it.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Generator, Sequence
from typing import Final, Protocol, cast

from websockets.exceptions import WebSocketException
from websockets.http11 import Request
from websockets.streams import StreamReader

from realtime.door import Census
from realtime.handshake import Stream, Turned
from realtime.outbox import HIGH_WATER, LOW_WATER
from realtime.packet import Packet
from realtime.peer import Peer

MAX_HEAD_BYTES: Final = 16 * 1024
HEAD_SECONDS: Final = 5.0
RETRY_MS: Final = 2_000
UNACKNOWLEDGED_MS: Final = 35_000

# A proxy that buffers would hold back events; docs/realtime.md tells how to stop it.
_HEAD: Final = (
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/event-stream; charset=utf-8\r\n"
    "Cache-Control: no-store\r\n"
    "X-Accel-Buffering: no\r\n"
    "Connection: close\r\n"
)


class Porter(Protocol):
    """What a stream asks of the listener it came to."""

    def admit_stream(self, target: str, origins: Sequence[str], last_event_id: str | None) -> Stream | Turned:
        """Answer which events a request gets, or why none."""

    def enter_stream(self, stream: "EventStream") -> Peer:
        """Take a stream as a connection."""

    def leave_stream(self, stream: "EventStream") -> None:
        """Forget a stream."""

    def now(self) -> int:
        """Answer the connections' time in ms."""


class EventStream(asyncio.Protocol):
    """One response with events. Is the wire of its peer."""

    def __init__(self, porter: Porter, census: Census) -> None:
        self._porter = porter
        self._census = census
        self._head = b""
        self._epoch = ""
        self._peer: Peer | None = None
        self._transport: asyncio.Transport
        self._patience: asyncio.TimerHandle | None = None

    # --- the request ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self._patience = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._peer is not None or self._transport.is_closing():
            return  # whatever follows a request is not read
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._begin()
        elif len(self._head) > MAX_HEAD_BYTES:
            self._transport.abort()

    def _begin(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        request = _parsed(self._head)
        self._head = b""
        if request is None:
            self._transport.abort()
            return
        origins = request.headers.get_all("Origin")
        last = request.headers.get_all("Last-Event-ID")
        admitted = self._porter.admit_stream(request.path, origins, last[-1] if last else None)
        if isinstance(admitted, Turned):
            self._refuse(admitted)
        else:
            self._open(admitted, origins)

    def _refuse(self, turned: Turned) -> None:
        body = turned.detail + "\n"
        retry = "" if turned.retry_after is None else f"Retry-After: {turned.retry_after}\r\n"
        self._transport.write(
            f"HTTP/1.1 {turned.status.value} {turned.status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body.encode())}\r\nConnection: close\r\n{retry}\r\n{body}".encode()
        )
        self._transport.close()

    def _open(self, stream: Stream, origins: Sequence[str]) -> None:
        connected = self._transport.get_extra_info("socket")
        if connected is not None:
            with contextlib.suppress(OSError, AttributeError):
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        allowed = f"Access-Control-Allow-Origin: {origins[0]}\r\nVary: Origin\r\n" if origins else ""
        self._transport.write(f"{_HEAD}{allowed}\r\nretry: {RETRY_MS}\n\n".encode())
        self._peer = self._porter.enter_stream(self)
        asked = {"ch": stream.channel, "epoch": stream.epoch, "since": stream.since}
        frame = json.dumps([{"i": 0, "t": "hello"}, {"i": 1, "t": "sub", "d": asked}])
        self._peer.perform(self._peer.session.receive(frame, self._porter.now()))

    # --- the wire ---

    def write(self, packet: Packet) -> None:
        """Write a frame as an event, or nothing if the connection is closing."""
        if self._transport.is_closing():
            return
        place = b"" if packet.position is None else self._place(packet.position)
        self._transport.write(b"%sdata: %s\n\n" % (place, packet.payload))
        if self._peer is not None and self._transport.get_write_buffer_size() == 0:
            self._peer.heard()

    def place(self, epoch: str, position: int) -> None:
        """Write where the client is; the positions of events that follow count in this epoch."""
        self._epoch = epoch
        if not self._transport.is_closing():
            self._transport.write(self._place(position) + b"\n")

    def _place(self, position: int) -> bytes:
        return f"id: {self._epoch}/{position}\n".encode()

    def buffered(self) -> int:
        """Answer the bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def start_close(self, code: int, retry_ms: int | None) -> None:
        """Write a `close` event with what a close frame would say, and end the response."""
        if self._transport.is_closing():
            return
        said = {"code": code} | ({} if retry_ms is None else {"retry_ms": retry_ms})
        retry = "" if retry_ms is None else f"retry: {RETRY_MS + retry_ms}\n"
        self._transport.write(f"{retry}event: close\ndata: {json.dumps(said)}\n\n".encode())
        self._transport.close()

    def cut(self) -> None:
        """End the connection now."""
        self._transport.abort()

    # --- what the loop tells ---

    def pause_writing(self) -> None:
        if self._peer is not None:
            self._peer.stalled()

    def resume_writing(self) -> None:
        if self._peer is not None:
            self._peer.drained()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's shape
        self._census.present -= 1
        if self._patience is not None:
            self._patience.cancel()
        if self._peer is not None:
            self._porter.leave_stream(self)
            self._peer.end()


def _parsed(head: bytes) -> Request | None:
    """Answer the request of a whole head; None for one that cannot be read."""
    reader = StreamReader()
    reader.feed_data(head)
    parsing: Generator[None, None, Request] = Request.parse(reader.read_line)
    try:
        next(parsing)
    except StopIteration as parsed:
        return parsed.value  # type: ignore[no-any-return]  # a generator's value has no type
    except (WebSocketException, ValueError, EOFError):
        return None
    return None
