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
from nats.aio.subscription import Subscription
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
from cells.tasks import end

_log = structlog.get_logger(__name__)

WRONG_LAST_SEQUENCE = 10071
STREAM_NOT_FOUND = 10059
NO_MESSAGE = 10037

READ_MESSAGES = 1024
READ_BYTES = 4 << 20
TAIL_MESSAGES = 256
ANSWER_SECONDS = 2.0
CHECK_SECONDS = 1.0
KEPT_READERS = 16

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
    bytes: int = 0
    subjects: dict[str, int] = {}


class _Config(msgspec.Struct, frozen=True):
    max_bytes: int = -1


class _StreamInfo(msgspec.Struct):
    created: str = ""
    config: _Config = _Config()
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
        self._tasks: list[asyncio.Task[None]] = []
        self._readers: list[_DirectGet] = []

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
        log._tasks = [asyncio.create_task(log._keeper.run()), asyncio.create_task(log._watch(reconnected))]
        return log

    async def close(self) -> None:
        """Write the last mark and leave."""
        await end(self._tasks)
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
        """Yield batches in order, up to the end of the log as of this call. Raises `LogUnavailable`.

        Where the stream has replicas, one of them may answer that has not heard of the newest commits yet.
        """
        reader = self._readers.pop() if self._readers else await _DirectGet.open(self.client)
        try:
            position, more = after, True
            while more:
                batch, more = await reader.fetch(pattern, position + 1, READ_MESSAGES)
                if batch:
                    position = batch[-1].position
                    yield batch
        finally:
            if reader.usable and len(self._readers) < KEPT_READERS:
                self._readers.append(reader)
            else:
                await reader.close()

    async def tail(self, pattern: str, after: int) -> AsyncIterator[list[Stored]]:
        """Yield batches for ever. Survives restarts of the server; looks at least every second."""
        wake, position = asyncio.Event(), after
        reader = await _DirectGet.open(self.client)
        waking = await self._wake_by(pattern, wake)
        try:
            while True:
                wake.clear()
                batch: list[Stored] = []
                more = False
                with contextlib.suppress(LogUnavailable):
                    if not self.fenced:
                        batch, more = await reader.fetch(pattern, position + 1, TAIL_MESSAGES)
                if batch:
                    position = batch[-1].position
                    yield batch
                if more:
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):
                        await wake.wait()
        finally:
            await _drop(waking)
            await reader.close()

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
        state, limit = answer.state, max(0, answer.config.max_bytes)
        return LogInfo(state.first_seq, state.last_seq, state.messages, answer.created, state.bytes, limit)

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

    async def _wake_by(self, pattern: str, wake: asyncio.Event) -> Subscription:
        """Set an event whenever the server stored a message. Raises `LogUnavailable`."""

        async def woken(_message: Msg) -> None:
            wake.set()

        try:
            return await self.client.subscribe(subjects.stored(pattern), cb=woken)
        except (NatsError, OSError) as error:
            msg = f"stored: {type(error).__name__}"
            raise LogUnavailable(msg) from error

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
                async with asyncio.timeout(CHECK_SECONDS):
                    await reconnected.wait()
            if connection.zombie(self.client):
                _log.error("the connection's read loop died; reconnecting")
                await self.client._process_op_err(ConnectionResetError("read loop died"))  # noqa: SLF001 - the client has no public way
            reconnected.clear()
            with contextlib.suppress(LogUnavailable):
                await self._verify()


class _DirectGet:
    """Batched direct gets over one inbox, one request at a time. `usable` until a request was abandoned."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._arrived: asyncio.Queue[Msg] = asyncio.Queue()
        self._round = 0
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self.usable = True

    @classmethod
    async def open(cls, client: Client) -> Self:
        """Subscribe to an inbox of its own. Raises `LogUnavailable`."""
        reader = cls(client)
        try:
            reader._subscription = await client.subscribe(f"{reader._inbox}.*", cb=reader._arrived.put)
        except (NatsError, OSError) as error:
            msg = f"direct get: {type(error).__name__}"
            raise LogUnavailable(msg) from error
        return reader

    async def close(self) -> None:
        """Give up the inbox."""
        if self._subscription is not None:
            await _drop(self._subscription)

    async def fetch(self, pattern: str, start: int, limit: int) -> tuple[list[Stored], bool]:
        """Return messages from position `start` on, at most `limit` or 4 MiB, and whether there are more.

        Raises `LogUnavailable`.
        """
        self._round += 1
        self.usable = False
        reply = f"{self._inbox}.{self._round}"
        request = {"seq": start, "batch": limit, "max_bytes": READ_BYTES, "next_by_subj": pattern}
        try:
            await self._client.publish(
                f"$JS.API.DIRECT.GET.{subjects.STREAM}", _json.encode(request), reply=reply
            )
            found = await self._collect(reply)
        except (NatsError, TimeoutError, OSError) as error:
            msg = f"direct get: {type(error).__name__}"
            raise LogUnavailable(msg) from error
        self.usable = True
        return found

    async def _collect(self, reply: str) -> tuple[list[Stored], bool]:
        batch: list[Stored] = []
        whole = True
        while True:
            async with asyncio.timeout(ANSWER_SECONDS):
                message = await self._arrived.get()
            if message.subject != reply:
                continue
            headers = message.headers or {}
            status = headers.get("Status")
            if status == "404":
                return batch, False
            if status == "204":
                return batch, not whole or headers.get("Nats-Num-Pending", "0") != "0"
            if status is not None:
                msg = f"direct get: {status} {headers.get('Description', '')}"
                raise LogUnavailable(msg)
            # A message that was lost on the way leaves a gap: what follows it is asked for again.
            whole = whole and (not batch or int(headers["Nats-Last-Sequence"]) == batch[-1].position)
            if whole:
                batch.append(Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], message.data))


async def _drop(subscription: Subscription) -> None:
    with contextlib.suppress(NatsError, OSError):
        await subscription.unsubscribe()
