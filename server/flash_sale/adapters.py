"""The writer as `api` reaches it: over NATS, all commands of a tick in one message, the leader found by asking."""

import asyncio
import contextlib
from collections import deque
from typing import Any

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
from cells.kernel.clock import Clock
from server.flash_sale import wire
from server.flash_sale.model import Answer, Command, Refusal
from server.flash_sale.ports import DEADLINE_MS

_log = structlog.get_logger(__name__)

WAITING_COMMANDS = 20_000
ANSWER_SECONDS = 2.0
FIND_SECONDS = 0.25

_NOT_SENT = (NoRespondersError, OutboundBufferLimitError, ConnectionClosedError, ConnectionReconnectingError)
_OVERLOADED = Refusal("overloaded", "too many commands are waiting for the writer", 1000)
_UNKNOWN = Refusal("outcome_unknown", "the writer did not answer in time", 1000)
_UNAVAILABLE = Refusal("unavailable", "no writer leads this cell at the moment", 1000)

_decode_here = msgspec.msgpack.Decoder(Here).decode


class _Asked(msgspec.Struct):
    command: Command
    deadline: int
    answered: asyncio.Future[Answer]


class WriterClient:
    """`Sales` over NATS. A batch whose outcome is not known is sent again until its deadline: commands may repeat."""

    def __init__(self, client: Client, cell: str, clock: Clock) -> None:
        self._client = client
        self._cell = cell
        self._clock = clock
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

    async def ask(self, command: Command, deadline_ms: int = DEADLINE_MS) -> Answer:
        """Queue a command for the next message, and wait for its answer."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.enqueue(command, answered, deadline_ms)
        return await answered

    def enqueue(
        self, command: Command, answered: asyncio.Future[Answer], deadline_ms: int = DEADLINE_MS
    ) -> None:
        """Queue a command for the next message; `answered` gets its answer. A full queue answers `overloaded`."""
        if self._waiting >= WAITING_COMMANDS:
            answered.set_result(_OVERLOADED)
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
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), wire.SALE_OPS_PER_MESSAGE))]
            self._spawn(self._deliver(batch))
        self._sending = False

    async def _deliver(self, batch: list[_Asked]) -> None:
        answers: list[Answer] = []
        try:
            answers = await self._until_answered(batch)
        except Exception:  # noqa: BLE001 - whoever waits must be answered, whatever went wrong
            _log.exception("a batch of commands failed")
        finally:
            self._waiting -= len(batch)
            for i, asked in enumerate(batch):
                if not asked.answered.done():
                    asked.answered.set_result(answers[i] if i < len(answers) else _UNKNOWN)

    async def _until_answered(self, batch: list[_Asked]) -> list[Answer]:
        deadline = min(asked.deadline for asked in batch)
        request = wire.encode_request(wire.Request(deadline, [asked.command for asked in batch]))
        certainly_not = True
        while (left := (deadline - self._clock.now()) / 1000) > 0:
            leader = self._leader or await self._find(left)
            if leader is None:
                continue
            try:
                message = await self._client.request(leader.subject, request, min(left, ANSWER_SECONDS))
                answers: list[Answer] = wire.decode_answers(message.data)
            except _NOT_SENT:
                self._lose(leader)
            except (NatsError, TimeoutError, OSError, msgspec.MsgspecError):
                certainly_not = False
                self._lose(leader)
            else:
                if answers:
                    return answers
                self._lose(leader)  # it has stepped down and decided nothing
        return [_UNAVAILABLE if certainly_not else _UNKNOWN] * len(batch)

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
