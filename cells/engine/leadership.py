"""Who the writer is. A term is a commit in the log, so there is one leader a term, and no clock or lock decides it.

A second writer stays in standby while the leader answers. Leadership only tells clients whom to ask:
that a paused or duplicated writer is harmless is the work of compare-and-set on every append.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from cells.engine.handle import handle
from cells.kernel.clock import Clock
from cells.kernel.codec import EventKind, Registry
from cells.kernel.decider import Decider
from cells.log.port import Log
from cells.tasks import end

ANNOUNCE_SECONDS = 0.25
SILENCE_SECONDS = 1.5
ASK_SECONDS = 0.5


class WriterElected(msgspec.Struct, frozen=True, array_like=True):
    """A writer opened a new term."""

    term: int
    writer: str


class Elect(msgspec.Struct, frozen=True):
    """Open a new term for this writer."""

    writer: str


class Here(msgspec.Struct, frozen=True):
    """The leader's announcement: send commands to `subject`."""

    term: int
    subject: str


TERMS: Decider[int, Elect] = Decider(
    kind="writer",
    initial=lambda: 0,
    decide=lambda term, command, _now: [WriterElected(term + 1, command.writer)],
    evolve=lambda _term, event: event.term,
    registry=Registry([EventKind("WriterElected", WriterElected)]),
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Here).decode


def here_subject(cell: str) -> str:
    """Where the leader announces itself."""
    return f"cell.{cell}.writer.here"


def who_subject(cell: str) -> str:
    """Where the leader can be asked for."""
    return f"cell.{cell}.writer.who"


async def find_leader(client: Client, cell: str, seconds: float = ASK_SECONDS) -> Here | None:
    """Ask for the leader. None: there is none. Raises `TimeoutError` when one is there but silent."""
    try:
        answer = await client.request(who_subject(cell), b"", seconds)
    except NoRespondersError:
        return None
    except NatsError as error:
        raise TimeoutError(str(error)) from error
    return _decode(answer.data)


class Leadership:
    """One writer's side of it. `lost` is set when another writer has a higher term."""

    def __init__(self, client: Client, cell: str, writer: str) -> None:
        self._client = client
        self._cell = cell
        self._writer = writer
        self._heard = asyncio.Event()
        self._announcing: asyncio.Task[None] | None = None
        self._asked: Subscription | None = None
        self.here = Here(0, "")
        self.lost = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen for other writers. Call once, before anything else."""
        await self._client.subscribe(here_subject(self._cell), cb=self._on_here)

    async def wait_for_vacancy(self, on_standby: Callable[[], None]) -> None:
        """Return when no leader answers: at once when there is none, after 1.5 s of silence when it hangs.

        `on_standby` is called when there is one to stand by for.
        """
        while True:
            try:
                if await find_leader(self._client, self._cell) is None:
                    return
            except TimeoutError:
                if not await self._announced_within(SILENCE_SECONDS - ASK_SECONDS):
                    return
                continue
            on_standby()
            while await self._announced_within(SILENCE_SECONDS):
                pass

    async def take(self, log: Log, clock: Clock) -> Here:
        """Open a new term in the log. Raises `Rejected` when the log cannot take it."""
        self.lost.clear()
        elected = await handle(log, TERMS, 0, self._cell, Elect(self._writer), clock)
        self.here = Here(elected.state, f"cell.{self._cell}.cmd.{elected.state}")
        return self.here

    async def announce(self) -> None:
        """Begin to answer and to announce, until `resign`."""
        self._asked = await self._client.subscribe(who_subject(self._cell), cb=self._on_who)
        self._announcing = asyncio.create_task(self._keep_announcing())

    async def resign(self) -> None:
        """Stop answering and announcing."""
        if self._asked is not None:
            with contextlib.suppress(NatsError, OSError):
                await self._asked.unsubscribe()
            self._asked = None
        if self._announcing is not None:
            await end([self._announcing])
            self._announcing = None

    async def _keep_announcing(self) -> None:
        payload = _encode(self.here)
        while True:
            with contextlib.suppress(NatsError, OSError):  # disconnected: heard again after the reconnect
                await self._client.publish(here_subject(self._cell), payload)
            await asyncio.sleep(ANNOUNCE_SECONDS)

    async def _announced_within(self, seconds: float) -> bool:
        self._heard.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        except TimeoutError:
            return False
        return True

    async def _on_here(self, message: Msg) -> None:
        self._heard.set()
        if self.here.term and _decode(message.data).term > self.here.term:
            self.lost.set()

    async def _on_who(self, message: Msg) -> None:
        if not self.lost.is_set():
            await self._client.publish(message.reply, _encode(self.here))
