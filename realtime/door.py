"""Which of the two shells a new TCP connection belongs to, decided by its first bytes."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

SSE_REQUEST: Final = b"GET /sse"
UNDECIDED_SECONDS: Final = 5.0


class Door(asyncio.Protocol):
    """Holds a connection until the first line of its request tells where it goes."""

    def __init__(
        self,
        websocket: Callable[[], asyncio.Protocol],
        events: Callable[[], asyncio.Protocol],
        census: "Census",
    ) -> None:
        self._websocket = websocket
        self._events = events
        self._census = census
        self._begun = b""
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._inside: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._census.present += 1
        if self._census.present > self._census.most:
            self._transport.abort()
            return
        self._patience = asyncio.get_running_loop().call_later(UNDECIDED_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        self._begun += data
        if len(self._begun) < len(SSE_REQUEST) and SSE_REQUEST.startswith(self._begun):
            return
        if self._transport is None or self._transport.is_closing():
            return
        self._decide(self._transport)

    def _decide(self, transport: asyncio.Transport) -> None:
        if self._patience is not None:
            self._patience.cancel()
        inside = self._events() if self._begun.startswith(SSE_REQUEST) else self._websocket()
        begun, self._begun = self._begun, b""
        transport.set_protocol(inside)
        inside.connection_made(transport)
        inside.data_received(begun)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's shape
        # Only of a connection that was never let in: afterwards its own protocol hears of the end.
        self._census.present -= 1
        if self._patience is not None:
            self._patience.cancel()


class Census:
    """How many TCP connections there are, upgraded or not. Beyond `most` they are cut unheard."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.present = 0
