"""Reading one's own write: waiting until the projections have reached a position of the log."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import structlog

from cells.engine.project import StoreUnavailable
from cells.kernel.errors import Rejected
from cells.log.port import LogInfo
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


class Extent(Protocol):
    """What is asked of the log."""

    async def info(self) -> LogInfo | None:
        """Return the extent; None when there is no log yet. Raises `LogUnavailable`."""


class Projected:
    """How far the projections are, as this process knows it. One per event loop; call `start` before use."""

    def __init__(self, look: Callable[[], Awaitable[int]] | None = None) -> None:
        self.position = 0
        self._log: Extent | None = None
        self._newest = 0
        self._look = look or _checkpoint
        self._grown = asyncio.Event()
        self._waiters = 0

    async def start(self, bus: Bus, cell: str, log: Extent) -> None:
        """Listen to the projector of a cell. `log` tells positions that are ahead from those that never were."""
        self._log = log
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
        """Wait for the position that a client read its last write at.

        Raises `Rejected`: bad_request for a position that the log has not reached itself, so that nobody can have
        read it; unavailable when the projections took longer than `timeout` seconds. Raises `LogUnavailable`.
        """
        if position is None or self.position >= position:
            return
        if await self._is_beyond(position):
            raise Rejected("bad_request", f"The log has no position {position}: take one from an answer.")
        if not await self.reached(position, timeout):
            raise Rejected(
                "unavailable", f"The lists have not reached position {position} yet.", retry_after_ms=1000
            )

    async def _is_beyond(self, position: int) -> bool:
        if self._log is None:
            return False
        if position > self._newest:
            info = await self._log.info()
            self._newest = info.last if info is not None else 0
        return position > self._newest

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
