"""The `websockets` library bent to this protocol: its close codes, its water marks, its count of connections."""

import asyncio
import logging
from typing import Any, ClassVar, Final, Protocol

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import CloseCode as LibraryCode
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol

from realtime import protocol
from realtime.protocol import CloseCode

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


class Census:
    """How many TCP connections there are, upgraded or not. Beyond `most` they are cut unheard."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.present = 0


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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.census.present += 1
        if self.census.present > self.census.most:
            self.transport.abort()

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

    def write(self, frame: bytes) -> None:
        """Put a whole frame on the wire, or nothing if the connection is closing."""
        if self.protocol.state is OPEN and not self.transport.is_closing():
            self.transport.write(frame)

    def buffered(self) -> int:
        """Answer the bytes that the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def start_close(self, code: int, reason: str) -> None:
        """Send the close frame. The handler's task sees the end of it, or `cut` makes one."""
        if self.protocol.state is OPEN:
            self.protocol.send_close(code, reason)
            self.send_data()

    def cut(self) -> None:
        """End the TCP connection now."""
        self.transport.abort()


def counted(by: Census) -> type[Connection]:
    """Answer the class of the connections of one listener."""

    class Counted(Connection):
        census = by

    return Counted
