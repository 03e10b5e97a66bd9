"""Reading one's own write: waiting until the projections have reached a position of the log."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import structlog

from cells.engine.project import StoreUnavailable
from cells.kernel.errors import Rejected
from server.store import engine

_log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.25
MOST_WAITERS = 2048

_REACHED = "SELECT min(position) FROM checkpoint"


class Progress(msgspec.Struct, frozen=True):
    """What the projector tells on `cell.<cell>.projected` after every batch."""

    position: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Progress)


def subject(cell: str) -> str:
    """Where the projector tells how far it is."""
    return f"cell.{cell}.projected"


def encode(position: int) -> bytes:
    """Encode a `Progress`."""
    return _encoder.encode(Progress(position))


class Message(Protocol):
    """What is read of a core NATS message."""

    data: bytes


class Bus(Protocol):
    """What is used of the core NATS client."""

    async def subscribe(self, subject: str, *, cb: Callable[[Message], Awaitable[None]]) -> object:
        """Call back for every message of a subject."""


class Projected:
    """How far the projections are, as this process knows it. One per event loop; call `start` before use."""

    def __init__(self, look: Callable[[], Awaitable[int]] | None = None) -> None:
        self.position = 0
        self._look = look or _checkpoint
        self._grown = asyncio.Event()
        self._waiters = 0

    async def start(self, bus: Bus, cell: str) -> None:
        """Listen to the projector of a cell."""
        await bus.subscribe(subject(cell), cb=self.heard)

    async def heard(self, message: Message) -> None:
        """Take in what the projector tells."""
        with contextlib.suppress(msgspec.MsgspecError):
            self._reach(_decoder.decode(message.data).position)

    async def reached(self, position: int, timeout: float) -> bool:
        """Wait until every projection has read up to `position`; False when it took longer than `timeout` seconds.

        Looks at the checkpoints itself when nothing is heard. False at once when too many wait already.
        """
        if self.position >= position:
            return True
        if self._waiters >= MOST_WAITERS:
            return False
        self._waiters += 1
        try:
            async with asyncio.timeout(timeout):
                return await self._wait(position)
        except TimeoutError:
            return False
        finally:
            self._waiters -= 1

    async def demand(self, position: int | None, timeout: float = 2.0) -> None:
        """Wait for the position that a client read its last write at. Raises `Rejected` (unavailable)."""
        if position is not None and not await self.reached(position, timeout):
            raise Rejected(
                "unavailable", f"The lists have not reached position {position} yet.", retry_after_ms=1000
            )

    async def _wait(self, position: int) -> bool:
        while self.position < position:
            grown = self._grown
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await grown.wait()
            except TimeoutError:
                with contextlib.suppress(StoreUnavailable):
                    self._reach(await self._look())
        return True

    def _reach(self, position: int) -> None:
        # It falls when the database was lost and is being rebuilt.
        self.position = position
        self._grown.set()
        self._grown = asyncio.Event()


async def _checkpoint() -> int:
    async with engine.connection(LOOK_SECONDS) as connection:
        return int(await connection.fetchval(_REACHED) or 0)
