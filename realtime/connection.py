"""The `websockets` library bent to this protocol: its close codes, its water marks, its count of connections."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Final, Protocol

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import CloseCode as LibraryCode
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol

from realtime import codes, protocol
from realtime.codes import CloseCode
from realtime.door import Census, Door
from realtime.packet import Packet

# Above the protocol's limit, so that the session can name the fault; beyond it the library stops reading.
LIBRARY_MAX_SIZE: Final = 4 * protocol.MAX_FRAME_BYTES

# The library reports every connection it opens and closes; what a peer did wrong is its close code.
library_log = logging.getLogger("realtime.websockets")
library_log.setLevel(logging.CRITICAL)

_TRANSLATED: Final[dict[int, int]] = {
    LibraryCode.MESSAGE_TOO_BIG: CloseCode.TOO_BIG,
    LibraryCode.INVALID_DATA: CloseCode.BAD_FRAME,
    LibraryCode.INTERNAL_ERROR: CloseCode.INTERNAL,
}


class _Protocol(ServerProtocol):
    def fail(self, code: LibraryCode | int, reason: str = "") -> None:
        translated = _TRANSLATED.get(code)
        if translated is None:
            super().fail(code, reason)
        else:
            super().fail(translated)


class Listener(Protocol):
    """Who sits on a connection."""

    def heard(self) -> None:
        """The client sent something."""

    def stalled(self) -> None:
        """The write buffer went over its high-water mark."""

    def drained(self) -> None:
        """The write buffer went below its low-water mark."""


class Connection(ServerConnection):
    """A server connection that tells its listener what the library knows."""

    census: ClassVar[Census]

    def __init__(self, made: ServerProtocol, server: Server, **options: Any) -> None:
        # The library makes a protocol of its own class; it has parsed nothing yet, so ours takes its place.
        own = _Protocol(
            subprotocols=made.available_subprotocols, max_size=LIBRARY_MAX_SIZE, logger=library_log
        )
        super().__init__(own, server, **options)
        self.listener: Listener | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.census.present -= 1
        super().connection_lost(exc)

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if self.listener is not None:
            self.listener.heard()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.listener is not None:
            self.listener.stalled()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.listener is not None:
            self.listener.drained()

    # --- what is done from outside the handler's task, at once ---

    def write(self, packet: Packet) -> None:
        """Put a whole frame on the wire, or nothing if the connection is closing."""
        # No extension is negotiated and no message of ours is fragmented, so a whole frame may go out any time.
        if self.protocol.state is OPEN and not self.transport.is_closing():
            self.transport.write(packet.frame)

    def place(self, epoch: str, position: int) -> None:
        """A WebSocket's client keeps its place itself."""

    def buffered(self) -> int:
        """Answer the bytes that the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def start_close(self, code: int, retry_ms: int | None) -> None:
        """Send the close frame. The handler's task sees the end of it, or `cut` makes one."""
        if self.protocol.state is OPEN:
            self.protocol.send_close(code, codes.encode_reason(retry_ms))
            self.send_data()

    def cut(self) -> None:
        """End the TCP connection now."""
        self.transport.abort()


def behind_door(census: Census, events: Callable[[], asyncio.Protocol]) -> Callable[..., Door]:
    """Answer the library's factory of connections: each is made behind a door, if it is a WebSocket at all."""

    class Counted(Connection):
        pass

    Counted.census = census

    def make(made: ServerProtocol, server: Server, **options: Any) -> Door:
        return Door(lambda: Counted(made, server, **options), events, census)

    return make
