"""A client of the protocol in Python: subscribes, applies the gap rule, comes back after a loss.

async with RealtimeClient("ws://127.0.0.1:8001/rt") as client:
    await client.sub("sale:sal_…")
    async for update in client.updates():
        print(update.channel, update.position, update.value)
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from realtime import protocol
from realtime.protocol import ChannelState, Retry, retry_of

REPLY_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 40.0
BACKOFF_FIRST: Final = 0.5
BACKOFF_MOST: Final = 20.0
# Full policy: an update replaces the unread one of the same channel; what is read is always the newest.
TokenSource = Callable[[], Awaitable[str]]


class CommandRefused(Exception):  # noqa: N818 - the server's answer
    """The server said no; `temp` tells whether the same command may succeed later."""

    def __init__(self, error: protocol.ErrorBody) -> None:
        super().__init__(error.code)
        self.code = error.code
        self.temp = error.temp
        self.retry_ms = error.retry_ms


class Disconnected(Exception):  # noqa: N818 - a state
    """The connection is gone. `code` is the close code; by `retry_of(code)` it may have been for good."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code}")
        self.code = code
        self.retry_ms = protocol.decode_reason(reason).retry_ms


class Update(msgspec.Struct, frozen=True):
    """The state of a channel as of a position: a snapshot or an event."""

    channel: str
    position: int
    value: dict[str, Any]


class _Incoming(msgspec.Struct):
    r: int | None = None
    d: msgspec.Raw = msgspec.Raw(b"null")
    e: protocol.ErrorBody | None = None
    n: int | None = None
    s: int = 0
    p: int = 0
    t: str | None = None


class _Place(msgspec.Struct):
    """Where this client is in a channel."""

    n: int
    epoch: str
    last: int


class _Awaited(msgspec.Struct, frozen=True):
    """A command whose reply is due; `joins` is the channel that the reply opens."""

    reply: asyncio.Future[msgspec.Raw]
    joins: str | None


_frame = msgspec.json.Decoder(_Incoming | list[_Incoming])


def applies(last: int, event_s: int, event_p: int) -> bool | None:
    """Decide by the gap rule: True apply, False drop, None ask again from `last`."""
    if event_p == last:
        return True
    return False if event_s <= last else None


def backoff(attempt: int, chance: float) -> float:
    """Answer the seconds to wait before try number `attempt` (from 0): full jitter."""
    return chance * min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(attempt, 10))


class RealtimeClient:
    """One logical connection that survives losses. Belongs to one event loop; `updates` has one reader."""

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource | None = None,
        origin: str | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`token` is asked for a fresh access token at every connect."""
        self._url = url
        self._token = token
        self._origin = origin
        self._chance = chance
        self._connection: ClientConnection | None = None
        self._pump: asyncio.Task[None] | None = None
        self._commands = 0
        self._waiting: dict[int, _Awaited] = {}
        self._places: dict[str, _Place] = {}
        self._names: dict[int, str] = {}
        self._unread: dict[str, Update] = {}
        self._news = asyncio.Event()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._ended: Disconnected | None = None
        self.connects = 0
        self.gaps = 0
        self.closes: list[int] = []

    async def __aenter__(self) -> Self:
        await self._connect()
        self._pump = asyncio.create_task(self._keep_connected())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, *self._asking.values(), return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    # --- commands ---

    async def sub(self, channel: str) -> ChannelState:
        """Follow a channel from here on. Raises CommandRefused or Disconnected."""
        place = self._places.get(channel)
        asked: dict[str, Any] = {"ch": channel}
        if place is not None:
            asked |= {"epoch": place.epoch, "since": place.last}
        return msgspec.json.decode(await self._command("sub", asked, joins=channel), type=ChannelState)

    async def unsub(self, channel: str) -> None:
        """Stop following a channel. Raises CommandRefused or Disconnected."""
        place = self._places.pop(channel, None)
        if place is not None:
            self._names.pop(place.n, None)
            await self._command("unsub", {"n": place.n})

    async def refresh(self, token: str) -> int:
        """Go on with a newer token; answers its life in seconds. Raises CommandRefused or Disconnected."""
        reply = await self._command("refresh", {"token": token})
        return msgspec.json.decode(reply, type=protocol.Refreshed).expires_in

    async def updates(self) -> AsyncIterator[Update]:
        """Yield snapshots and events; of a channel that changes faster than it is read, the newest.

        Ends with Disconnected when the server closed for good.
        """
        while True:
            while self._unread:
                yield self._unread.pop(next(iter(self._unread)))
            if self._ended is not None:
                raise self._ended
            self._news.clear()
            await self._news.wait()

    async def _command(self, name: str, d: dict[str, Any], *, joins: str | None = None) -> msgspec.Raw:
        connection = self._connection
        if connection is None:
            raise self._ended or Disconnected(1006)
        self._commands += 1
        i = self._commands
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._waiting[i] = _Awaited(answer, joins)
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await connection.send(msgspec.json.encode({"i": i, "t": name, "d": d}).decode())
                return await answer
        except ConnectionClosed as lost:
            raise _disconnected(lost) from lost
        finally:
            self._waiting.pop(i, None)

    # --- the connection ---

    async def _connect(self) -> None:
        connection = await connect(
            self._url,
            subprotocols=[Subprotocol(protocol.SUBPROTOCOL)],
            origin=self._origin,  # type: ignore[arg-type]  # a NewType of str that users need not know
            compression=None,
            ping_interval=None,
            max_size=1 << 20,
        )
        self._connection = connection
        self._names.clear()
        self.connects += 1
        resume = [[name, place.epoch, place.last] for name, place in self._places.items()]
        hello: dict[str, Any] = {"resume": resume}
        if self._token is not None:
            hello["token"] = await self._token()
        await self._greet(connection, hello)

    async def _greet(self, connection: ClientConnection, hello: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await connection.send(msgspec.json.encode({"i": 0, "t": "hello", "d": hello}).decode())
                frame = _read(await connection.recv())[0]
        except ConnectionClosed as lost:
            raise _disconnected(lost) from lost
        if frame.e is not None:
            await connection.close()
            raise CommandRefused(frame.e)
        welcome = msgspec.json.decode(frame.d, type=protocol.Welcome)
        for name, state in welcome.channels.items():
            self._enter(name, state)
        for name in self._places.keys() - welcome.channels.keys():
            self._ask_again(name)

    async def _keep_connected(self) -> None:
        attempt = 0
        while True:
            lost = await self._read_until_lost()
            for awaited in self._waiting.values():
                if not awaited.reply.done():
                    awaited.reply.set_exception(lost)
            self._connection = None
            self.closes.append(lost.code)
            while retry_of(lost.code) is not Retry.STOP:
                await asyncio.sleep((lost.retry_ms or 0) / 1000 + backoff(attempt, self._chance()))
                attempt += 1
                try:
                    await self._connect()
                except (OSError, TimeoutError, InvalidHandshake, CommandRefused, Disconnected) as error:
                    lost = _why(error)
                    continue
                attempt = 0
                break
            else:
                self._ended = lost
                self._news.set()
                return

    async def _read_until_lost(self) -> Disconnected:
        connection = self._connection
        if connection is None:
            return Disconnected(1006)
        try:
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    message = await connection.recv()
                for frame in _read(message):
                    await self._take(connection, frame)
        except ConnectionClosed as lost:
            return _disconnected(lost)
        except msgspec.MsgspecError:
            await connection.close(1002)
            return Disconnected(protocol.CloseCode.UNKNOWN_PROTOCOL)
        except TimeoutError:
            await connection.close(1001)
            return Disconnected(1006)

    async def _take(self, connection: ClientConnection, frame: _Incoming) -> None:
        if frame.r is not None:
            self._answer(frame.r, frame)
        elif frame.n is not None:
            self._event(frame.n, frame)
        elif frame.t is None:
            await connection.send("{}")

    def _answer(self, r: int, frame: _Incoming) -> None:
        awaited = self._waiting.get(r)
        if awaited is None or awaited.reply.done():
            return
        if frame.e is not None:
            awaited.reply.set_exception(CommandRefused(frame.e))
            return
        if awaited.joins is not None:
            # Here and not where the reply is awaited: the next frame may be an event of this channel.
            self._enter(awaited.joins, msgspec.json.decode(frame.d, type=ChannelState))
        awaited.reply.set_result(frame.d)

    def _event(self, n: int, frame: _Incoming) -> None:
        name = self._names.get(n)
        place = self._places.get(name) if name is not None else None
        if name is None or place is None:
            return
        verdict = applies(place.last, frame.s, frame.p)
        if verdict:
            place.last = frame.s
            self._put(Update(name, frame.s, msgspec.json.decode(frame.d)))
        elif verdict is None:
            self.gaps += 1
            self._ask_again(name)

    def _ask_again(self, name: str) -> None:
        if name not in self._asking:
            task = self._asking[name] = asyncio.create_task(self._recover(name))
            task.add_done_callback(lambda _: self._asking.pop(name))

    async def _recover(self, name: str) -> None:
        # What fails here is made good by the next gap, or by the reconnect that is under way.
        with contextlib.suppress(CommandRefused, Disconnected, TimeoutError):
            await self.sub(name)

    def _enter(self, name: str, state: ChannelState) -> None:
        self._places[name] = _Place(state.n, state.epoch, state.top)
        self._names[state.n] = name
        if state.snapshot is not None:
            self._put(Update(name, state.top, state.snapshot))

    def _put(self, update: Update) -> None:
        self._unread[update.channel] = update
        self._news.set()


def _read(message: str | bytes) -> list[_Incoming]:
    read = _frame.decode(message)
    return read if isinstance(read, list) else [read]


def _disconnected(lost: ConnectionClosed) -> Disconnected:
    if lost.rcvd is None:
        return Disconnected(1006)
    return Disconnected(lost.rcvd.code, lost.rcvd.reason)


def _why(error: Exception) -> Disconnected:
    match error:
        case Disconnected():
            return error
        case InvalidStatus(response=response) if response.status_code < 500:
            return Disconnected(protocol.CloseCode.UNKNOWN_PROTOCOL)
        case CommandRefused(temp=False, code=code) if code != "token_expired":
            return Disconnected(protocol.CloseCode.UNAUTHENTICATED)
        case _:
            return Disconnected(1006)
