"""The writer as other processes reach it: over NATS, all commands of a tick in one message, the leader found by asking."""

import asyncio
import contextlib
from collections import deque
from typing import Any, Generic, TypeVar

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import (
    ConnectionClosedError,
    ConnectionReconnectingError,
    NoRespondersError,
    OutboundBufferLimitError,
)
from nats.errors import Error as NatsError

from cells.engine.leadership import Here, find_leader, here_subject
from cells.engine.wire import COMMANDS_PER_MESSAGE, Request, Wire
from cells.kernel.clock import Clock

_log = structlog.get_logger(__name__)

DEADLINE_MS = 5_000
WAITING_COMMANDS = 20_000
ANSWER_SECONDS = 2.0
FIND_SECONDS = 0.25

_NOT_SENT = (NoRespondersError, OutboundBufferLimitError, ConnectionClosedError, ConnectionReconnectingError)

_decode_here = msgspec.msgpack.Decoder(Here).decode

C = TypeVar("C")
A = TypeVar("A")


class _Asked(msgspec.Struct):
    command: Any
    deadline: int
    answered: asyncio.Future[Any]


class WriterClient(Generic[C, A]):
    """One family of commands. A batch whose outcome is not known is sent again until its deadline: commands may repeat."""

    def __init__(self, client: Client, cell: str, clock: Clock, wire: Wire[C, A]) -> None:
        self._client = client
        self._cell = cell
        self._clock = clock
        self._wire = wire
        self._overloaded = wire.refuse("overloaded", "too many commands are waiting for the writer")
        self._unknown = wire.refuse("outcome_unknown", "the writer did not answer in time")
        self._unavailable = wire.refuse("unavailable", "no writer leads this cell at the moment")
        self._queue: deque[_Asked] = deque()
        self._sending = False
        self._waiting = 0
        self._leader: Here | None = None
        self._found = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen for the leader."""
        await self._client.subscribe(here_subject(self._cell), cb=self._on_here)
        with contextlib.suppress(TimeoutError, NatsError, OSError):
            self._lead(await find_leader(self._client, self._cell))

    @property
    def leader(self) -> Here | None:
        """The writer that leads, as far as is known."""
        return self._leader

    async def ask(self, command: C, deadline_ms: int = DEADLINE_MS) -> A:
        """Queue a command for the next message, and wait for its answer.

        Without one in time the answer is a refusal with `outcome_unknown` (it may still happen),
        or `unavailable`, `overloaded` or `fenced` (it did not).
        """
        answered: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self.enqueue(command, answered, deadline_ms)
        return await answered

    def enqueue(self, command: C, answered: asyncio.Future[A], deadline_ms: int = DEADLINE_MS) -> None:
        """Queue a command for the next message; `answered` gets its answer. A full queue answers `overloaded`."""
        if self._waiting >= WAITING_COMMANDS:
            answered.set_result(self._overloaded)
            return
        self._queue.append(_Asked(command, self._clock.now() + deadline_ms, answered))
        self._waiting += 1
        if not self._sending:
            self._sending = True
            self._spawn(self._send_queued())

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_queued(self) -> None:
        await asyncio.sleep(0)  # lets the rest of this turn's commands join
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), COMMANDS_PER_MESSAGE))]
            self._spawn(self._deliver(batch))
        self._sending = False

    async def _deliver(self, batch: list[_Asked]) -> None:
        answers: list[A] = []
        try:
            answers = await self._until_answered(batch)
        except Exception:  # noqa: BLE001 - whoever waits must be answered, whatever went wrong
            _log.exception("a batch of commands failed")
        finally:
            self._waiting -= len(batch)
            for i, asked in enumerate(batch):
                if not asked.answered.done():
                    asked.answered.set_result(answers[i] if i < len(answers) else self._unknown)

    async def _until_answered(self, batch: list[_Asked]) -> list[A]:
        deadline = min(asked.deadline for asked in batch)
        request = self._wire.encode_request(Request(deadline, [asked.command for asked in batch]))
        certainly_not = True
        while (left := (deadline - self._clock.now()) / 1000) > 0:
            leader = self._leader or await self._find(left)
            if leader is None:
                continue
            subject = leader.subject + self._wire.suffix
            try:
                message = await self._client.request(subject, request, min(left, ANSWER_SECONDS))
                answers = self._wire.decode_answers(message.data)
            except _NOT_SENT:
                self._lose(leader)
            except (NatsError, TimeoutError, OSError, msgspec.MsgspecError):
                certainly_not = False
                self._lose(leader)
            else:
                if answers:
                    return answers
                self._lose(leader)  # it has stepped down and decided nothing
        return [self._unavailable if certainly_not else self._unknown] * len(batch)

    async def _find(self, seconds: float) -> Here | None:
        self._found.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._found.wait(), min(seconds, FIND_SECONDS))
        return self._leader

    def _lead(self, here: Here | None) -> None:
        if here is not None and (self._leader is None or here.term > self._leader.term):
            self._leader = here
        if self._leader is not None:
            self._found.set()

    def _lose(self, leader: Here) -> None:
        if self._leader is leader:
            self._leader = None

    async def _on_here(self, message: Msg) -> None:
        self._lead(_decode_here(message.data))
