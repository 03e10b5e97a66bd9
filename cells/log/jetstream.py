"""The log on JetStream.

Reading needs no consumers: batches come by direct get, which is stateless, and a tail is woken by the
messages that the server republishes after it has stored them. Every batch names the position it follows,
so a gap cannot pass unseen.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

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

from cells.kernel import envelope
from cells.log import connection, guard, marks, subjects
from cells.log.port import (
    Appended,
    Conflict,
    LogInfo,
    LogUnavailable,
    Mark,
    Outcome,
    Refused,
    Stored,
    Unknown,
)

_log = structlog.get_logger(__name__)

WRONG_LAST_SEQUENCE = 10071
STREAM_NOT_FOUND = 10059
NO_MESSAGE = 10037

READ_MESSAGES = 1024
READ_BYTES = 4 << 20
TAIL_MESSAGES = 256
ANSWER_SECONDS = 2.0
CHECK_SECONDS = 1.0

_NOT_SENT = (NoRespondersError, OutboundBufferLimitError, ConnectionClosedError, ConnectionReconnectingError)


class _Failure(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _Failure | None = None


class _State(msgspec.Struct):
    first_seq: int
    last_seq: int
    messages: int
    subjects: dict[str, int] = {}


class _StreamInfo(msgspec.Struct):
    created: str = ""
    state: _State | None = None
    error: _Failure | None = None
    total: int = 0


class _Message(msgspec.Struct):
    subject: str
    seq: int
    data: bytes = b""


class _MessageAnswer(msgspec.Struct):
    message: _Message | None = None
    error: _Failure | None = None


_ack = msgspec.json.Decoder(_Ack)
_info = msgspec.json.Decoder(_StreamInfo)
_message = msgspec.json.Decoder(_MessageAnswer)
_json = msgspec.json.Encoder()


class JetStreamLog:
    """The cell's log. Fences itself when it finds the stream missing, shorter or other than its marks."""

    def __init__(self, client: Client, keeper: marks.MarkKeeper) -> None:
        self.client = client
        self.fenced: str | None = None
        self._keeper = keeper
        self._mark: Mark | None = None
        self._epoch = ""
        self._wakes: set[asyncio.Event] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, url: str, folder: Path, process: str) -> Self:
        """Connect, compare the stream with the marks under `folder`, and keep watching both.

        A damaged log is returned too, fenced. Raises `LogUnavailable` when JetStream does not answer.
        """
        reconnected = asyncio.Event()

        async def on_reconnect() -> None:
            reconnected.set()

        client = await connection.connect(url, process, on_reconnect=on_reconnect)
        log = cls(client, marks.MarkKeeper(folder, process))
        await log._verify()
        await client.subscribe("stored.>", cb=log._woken)
        log._tasks = [asyncio.create_task(log._keeper.run()), asyncio.create_task(log._watch(reconnected))]
        return log

    async def close(self) -> None:
        """Write the last mark and leave."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await connection.close(self.client)

    async def append(
        self, subject: str, body: bytes, expected: int, timeout: float = ANSWER_SECONDS
    ) -> Outcome:
        """Store a commit iff the subject's last message is at `expected`; durable when `Appended`."""
        if self.fenced:
            return Refused(self.fenced, fenced=True)
        headers = {
            "Nats-Expected-Last-Subject-Sequence": str(expected),
            "Nats-Expected-Stream": subjects.STREAM,
        }
        try:
            answer = _ack.decode((await self.client.request(subject, body, timeout, headers=headers)).data)
        except _NOT_SENT as error:
            return Refused(f"the log cannot be reached ({type(error).__name__})")
        except (NatsError, TimeoutError, OSError, msgspec.MsgspecError) as error:
            return Unknown(type(error).__name__)
        if answer.error is None:
            self._reached(answer.seq, body)
            return Appended(answer.seq)
        if answer.error.err_code == WRONG_LAST_SEQUENCE:
            return Conflict()
        return Refused(answer.error.description)

    async def settle(self, subject: str, body: bytes, expected: int) -> Outcome:
        """Read back what became of an append that was `Unknown`."""
        try:
            following = await self._get({"next_by_subj": subject, "seq": expected + 1})
        except LogUnavailable as error:
            return Unknown(str(error))
        if following is None:
            return Refused("nothing was stored")
        if following.body != body:
            return Conflict()
        self._reached(following.position, body)
        return Appended(following.position)

    async def read(self, pattern: str, after: int = 0) -> AsyncIterator[list[Stored]]:
        """Yield batches in order, up to the end of the log as of this call. Raises `LogUnavailable`."""
        info = await self.info()
        end = info.last if info else 0
        position = after
        async with _DirectGet(self.client) as direct:
            while position < end:
                batch = await direct.fetch(pattern, position + 1, READ_MESSAGES)
                if not batch:
                    return
                position = batch[-1].position
                yield batch

    async def tail(self, pattern: str, after: int) -> AsyncIterator[list[Stored]]:
        """Yield batches for ever. Survives restarts of the server; looks at least every second."""
        wake = asyncio.Event()
        self._wakes.add(wake)
        position = after
        try:
            async with _DirectGet(self.client) as direct:
                while True:
                    wake.clear()
                    try:
                        batch = (
                            await direct.fetch(pattern, position + 1, TAIL_MESSAGES)
                            if not self.fenced
                            else []
                        )
                    except LogUnavailable:
                        batch = []
                    if batch:
                        position = batch[-1].position
                        yield batch
                        continue
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(wake.wait(), CHECK_SECONDS)
        finally:
            self._wakes.discard(wake)

    async def last(self, subject: str) -> Stored | None:
        """Return the newest message of a subject, as the stream's leader has it."""
        return await self._get({"last_by_subj": subject})

    async def at(self, position: int) -> Stored | None:
        """Return the message at a position."""
        return await self._get({"seq": position})

    async def info(self) -> LogInfo | None:
        """Return the extent; None when the stream does not exist."""
        answer = await self._stream_info({})
        if answer.state is None:
            return None
        return LogInfo(answer.state.first_seq, answer.state.last_seq, answer.state.messages, answer.created)

    async def subjects(self, pattern: str) -> dict[str, int]:
        """Return all subjects that match, with their number of messages."""
        found: dict[str, int] = {}
        while True:
            answer = await self._stream_info({"subjects_filter": pattern, "offset": len(found)})
            page = answer.state.subjects if answer.state else {}
            found |= page
            if not page or len(found) >= answer.total:
                return found

    async def note(self, mark: Mark) -> None:
        """Compare the log with a mark kept elsewhere (a projection's checkpoint) and fence on a contradiction."""
        if self._mark is None or mark.position > self._mark.position:
            self._mark = mark
            await self._verify()

    @property
    def epoch(self) -> str:
        """The incarnation of the log, as found when it was opened."""
        return self._epoch

    async def _stream_info(self, request: dict[str, Any]) -> _StreamInfo:
        answer = _info.decode(await self._ask(f"STREAM.INFO.{subjects.STREAM}", request))
        if answer.error is not None and answer.error.err_code != STREAM_NOT_FOUND:
            raise LogUnavailable(answer.error.description)
        return answer

    async def _get(self, request: dict[str, Any]) -> Stored | None:
        answer = _message.decode(await self._ask(f"STREAM.MSG.GET.{subjects.STREAM}", request))
        if answer.message is not None:
            return Stored(answer.message.seq, answer.message.subject, answer.message.data)
        if answer.error is not None and answer.error.err_code in (NO_MESSAGE, STREAM_NOT_FOUND):
            return None
        raise LogUnavailable(answer.error.description if answer.error else "an empty answer")

    async def _ask(self, call: str, request: dict[str, Any]) -> bytes:
        try:
            return (await self.client.request(f"$JS.API.{call}", _json.encode(request), ANSWER_SECONDS)).data
        except (NatsError, TimeoutError, OSError) as error:
            msg = f"JetStream does not answer ({type(error).__name__})"
            raise LogUnavailable(msg) from error

    def _reached(self, position: int, body: bytes) -> None:
        if self._mark is None or position > self._mark.position:
            self._mark = Mark(self._epoch, position, envelope.digest(body).hex())
            self._keeper.note(self._mark)

    async def _woken(self, _message: Msg) -> None:
        for wake in self._wakes:
            wake.set()

    async def _verify(self) -> None:
        # Marks are read before the extent: a mark is written after its append, so the extent covers it.
        known = marks.highest(self._keeper.folder)
        if known is not None and (self._mark is None or known.position > self._mark.position):
            self._mark = known
        found = await guard.damage(self, self._mark)
        if found is None:
            info = await self.info()
            self._epoch = info.epoch if info else ""
        if found != self.fenced:
            self.fenced = found
            _log.error("fenced", reason=found) if found else _log.warning("no longer fenced")

    async def _watch(self, reconnected: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reconnected.wait(), CHECK_SECONDS)
            if connection.zombie(self.client):
                _log.error("the connection's read loop died; reconnecting")
                await self.client._process_op_err(ConnectionResetError("read loop died"))  # noqa: SLF001 - the client has no public way
            reconnected.clear()
            with contextlib.suppress(LogUnavailable):
                await self._verify()


class _DirectGet:
    """Batched direct gets over one inbox, one request at a time. Use as an async context."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._arrived: asyncio.Queue[Msg] = asyncio.Queue()
        self._round = 0
        self._inbox = client.new_inbox()

    async def __aenter__(self) -> Self:
        self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._arrived.put)
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(NatsError, OSError):
            await self._subscription.unsubscribe()

    async def fetch(self, pattern: str, start: int, limit: int) -> list[Stored]:
        """Return the messages from position `start` on, at most `limit` or 4 MiB. Raises `LogUnavailable`."""
        self._round += 1
        reply = f"{self._inbox}.{self._round}"
        request = {"seq": start, "batch": limit, "max_bytes": READ_BYTES, "next_by_subj": pattern}
        try:
            await self._client.publish(
                f"$JS.API.DIRECT.GET.{subjects.STREAM}", _json.encode(request), reply=reply
            )
            return await self._collect(reply)
        except (NatsError, TimeoutError, OSError) as error:
            msg = f"direct get: {type(error).__name__}"
            raise LogUnavailable(msg) from error

    async def _collect(self, reply: str) -> list[Stored]:
        batch: list[Stored] = []
        while True:
            message = await asyncio.wait_for(self._arrived.get(), ANSWER_SECONDS)
            if message.subject != reply:
                continue
            headers = message.headers or {}
            status = headers.get("Status")
            if status in ("204", "404"):
                return batch
            if status is not None:
                msg = f"direct get: {status} {headers.get('Description', '')}"
                raise LogUnavailable(msg)
            previous = int(headers["Nats-Last-Sequence"])
            if batch and previous != batch[-1].position:
                return batch  # a message was lost on the way; what follows is asked for again
            batch.append(Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], message.data))
