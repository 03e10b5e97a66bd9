"""How an api process learns which sessions were ended elsewhere.

Core NATS tells within milliseconds. What it loses, a look at the log finds within seconds; the first look covers
the life of an access token, so that a process that has just started knows them all.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
import structlog

from cells.kernel import envelope
from cells.kernel.clock import Clock
from cells.log import subjects
from cells.log.port import Log, LogUnavailable
from server.accounts.model import ACCESS_MS, KIND, REGISTRY, SessionRevoked
from server.web.revocations import Revocations

_log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
# Clocks of the cell's processes agree far better than this.
SLACK_MS = 60_000


class Message(Protocol):
    """What is read of a message of the bus."""

    subject: str
    data: bytes


class Bus(Protocol):
    """What is used of the core NATS client."""

    def publish(self, subject: str, payload: bytes) -> Awaitable[None]:
        """Tell whoever listens, if anybody does."""

    def subscribe(self, subject: str, *, cb: Callable[[Any], Awaitable[None]]) -> Awaitable[Any]:
        """Call back for every message of a subject; `unsubscribe` of the result ends it."""


class Revoked(msgspec.Struct, frozen=True):
    """The message on the bus. `exp` is the epoch millisecond at which the session's last access token expires."""

    sid: str
    exp: int


_decoder = msgspec.msgpack.Decoder(Revoked)
_encoder = msgspec.msgpack.Encoder()


def subject_of(cell: str) -> str:
    """Return the subject on which ended sessions are told."""
    return f"cell.{cell}.session.revoked"


async def first_since(log: Log, since: int) -> int:
    """Return the position before the first commit made at or after `since`, by bisection over the log."""
    info = await log.info()
    if info is None or not info.messages:
        return 0
    low, high = info.first, info.last + 1
    while low < high:
        middle = (low + high) // 2
        stored = await log.at(middle)
        if stored is not None and envelope.peek(stored.body).at >= since:
            high = middle
        else:
            low = middle + 1
    return low - 1


class RevocationFeed:
    """Keeps `Revocations` true. `learn` once before serving, `run` while serving."""

    def __init__(self, log: Log, bus: Bus, revocations: Revocations, clock: Clock, cell: str) -> None:
        self._log = log
        self._bus = bus
        self._revocations = revocations
        self._clock = clock
        self._subject = subject_of(cell)
        self._position: int | None = None

    async def announce(self, sid: str, exp: int) -> None:
        """Tell the other processes. A message that is lost is made up for by their look at the log."""
        try:
            await self._bus.publish(self._subject, _encoder.encode(Revoked(sid, exp)))
        except Exception as error:  # noqa: BLE001 - nats-py raises a dozen kinds, none of which may fail the request
            _log.warning("an ended session was not announced", reason=type(error).__name__)

    async def learn(self) -> None:
        """Read what was ended since the last look. Raises `LogUnavailable`."""
        if self._position is None:
            self._position = await first_since(self._log, self._clock.now() - ACCESS_MS - SLACK_MS)
        info = await self._log.info()
        async for batch in self._log.read(subjects.of_kind(KIND), self._position):
            for stored in batch:
                for event in envelope.decode(REGISTRY, stored.body).events:
                    if isinstance(event, SessionRevoked):
                        self._note(event.sid, event.at + ACCESS_MS)
        if info is not None:
            self._position = max(self._position, info.last)

    async def run(self) -> None:
        """Listen, and look into the log every few seconds, for ever."""
        subscription = await self._bus.subscribe(self._subject, cb=self._told)
        try:
            while True:
                with contextlib.suppress(LogUnavailable):
                    await self.learn()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()

    async def _told(self, message: Message) -> None:
        try:
            told = _decoder.decode(message.data)
        except msgspec.MsgspecError:
            _log.warning("unreadable message", subject=message.subject)
            return
        self._note(told.sid, told.exp)

    def _note(self, sid: str, exp: int) -> None:
        now = self._clock.now()
        if exp > now:
            self._revocations.add(sid, exp, now)
