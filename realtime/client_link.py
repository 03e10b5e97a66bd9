"""One connection of a client: a greeting, commands with their replies, and everything else that is told."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Self

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from realtime import codes, protocol

REPLY_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 40.0
MAX_SIZE: Final = 1 << 20


class CommandRefused(Exception):  # noqa: N818 - the server's answer
    """The server said no; `temp` tells whether the same command may succeed later."""

    def __init__(self, error: codes.ErrorBody) -> None:
        super().__init__(error.code)
        self.code = error.code
        self.temp = error.temp
        self.retry_ms = error.retry_ms


class Disconnected(Exception):  # noqa: N818 - a state
    """The connection is gone. `code` is the close code; by `retry_of(code)` it may have been for good."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code}")
        self.code = code
        self.retry_ms = codes.decode_reason(reason).retry_ms


class Incoming(msgspec.Struct):
    """Any frame of the server."""

    r: int | None = None
    d: msgspec.Raw = msgspec.Raw(b"null")
    e: codes.ErrorBody | None = None
    n: int | None = None
    s: int | None = None
    p: int | None = None
    t: str | None = None


class _Awaited(msgspec.Struct, frozen=True):
    reply: asyncio.Future[msgspec.Raw]
    joined: Callable[[msgspec.Raw], None] | None


_frame = msgspec.json.Decoder(Incoming | list[Incoming])


class Link:
    """An open connection that was greeted. `read` has one caller, whom commands wait for."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._commands = 0
        self._waiting: dict[int, _Awaited] = {}
        # What came in one array with the welcome.
        self._early: list[Incoming] = []

    @classmethod
    async def open(
        cls, url: str, *, token: str | None, resume: list[tuple[str, str, int]], origin: str | None
    ) -> tuple[Self, protocol.Welcome]:
        """Connect and say hello. Raises CommandRefused, Disconnected, TimeoutError, OSError, InvalidHandshake.

        Whatever is raised, no connection is left behind.
        """
        connection = await connect(
            url,
            subprotocols=[Subprotocol(protocol.SUBPROTOCOL)],
            origin=origin,  # type: ignore[arg-type]  # a NewType of str that users need not know
            compression=None,
            ping_interval=None,
            max_size=MAX_SIZE,
        )
        link = cls(connection)
        try:
            return link, await link._greet(token, resume)
        except BaseException:
            await link.close()
            raise

    async def _greet(self, token: str | None, resume: list[tuple[str, str, int]]) -> protocol.Welcome:
        hello: dict[str, Any] = {"resume": resume}
        if token is not None:
            hello["token"] = token
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await self._send({"i": 0, "t": "hello", "d": hello})
                frame, *self._early = _frames(await self._connection.recv())
        except ConnectionClosed as lost:
            raise _disconnected(lost) from lost
        except (msgspec.MsgspecError, ValueError) as unreadable:
            raise Disconnected(codes.CloseCode.UNKNOWN_PROTOCOL) from unreadable
        if frame.e is not None:
            raise CommandRefused(frame.e)
        return msgspec.json.decode(frame.d, type=protocol.Welcome)

    async def command(
        self,
        name: str,
        d: dict[str, Any],
        *,
        key: str | None = None,
        joined: Callable[[msgspec.Raw], None] | None = None,
    ) -> msgspec.Raw:
        """Answer the reply's `d`. `joined` is called with it before the next frame is read.

        Raises CommandRefused, Disconnected, or TimeoutError after REPLY_SECONDS.
        """
        self._commands += 1
        i = self._commands
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._waiting[i] = _Awaited(answer, joined)
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await self._send({"i": i, "t": name, "d": d} | ({} if key is None else {"k": key}))
                return await answer
        except ConnectionClosed as lost:
            raise _disconnected(lost) from lost
        finally:
            self._waiting.pop(i, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # told by `read`, while the loss was found out here

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._connection.send(msgspec.json.encode(frame).decode())

    async def read(self) -> list[Incoming]:
        """Answer the next frames that are no replies, perhaps none; replies go to who waits. Raises Disconnected."""
        try:
            frames, self._early = self._early, []
            if not frames:
                async with asyncio.timeout(SILENCE_SECONDS):
                    message = await self._connection.recv()
                frames = _frames(message)
                if any(each.r is None and each.t is None for each in frames):
                    await self._connection.send("{}")
            return [each for each in frames if not self._replied(each)]
        except ConnectionClosed as lost:
            raise self._lost(_disconnected(lost)) from lost
        except msgspec.MsgspecError as unreadable:
            await self._connection.close(1002)
            raise self._lost(Disconnected(codes.CloseCode.UNKNOWN_PROTOCOL)) from unreadable
        except TimeoutError as silent:
            await self._connection.close(1001)
            raise self._lost(Disconnected(1006)) from silent

    def _replied(self, frame: Incoming) -> bool:
        if frame.r is None:
            return False
        awaited = self._waiting.pop(frame.r, None)
        if awaited is None or awaited.reply.done():
            return True
        if frame.e is not None:
            awaited.reply.set_exception(CommandRefused(frame.e))
            return True
        if awaited.joined is not None:
            awaited.joined(frame.d)
        awaited.reply.set_result(frame.d)
        return True

    def _lost(self, lost: Disconnected) -> Disconnected:
        for awaited in self._waiting.values():
            if not awaited.reply.done():
                awaited.reply.set_exception(Disconnected(lost.code))
        return lost

    async def close(self) -> None:
        """Leave; whoever waits for a reply is told by `read`. Cancelled, it leaves without a goodbye."""
        try:
            await self._connection.close()
        finally:
            self._connection.transport.abort()


def _frames(message: str | bytes) -> list[Incoming]:
    read = _frame.decode(message)
    return read if isinstance(read, list) else [read]


def _disconnected(lost: ConnectionClosed) -> Disconnected:
    if lost.rcvd is None:
        return Disconnected(1006)
    return Disconnected(lost.rcvd.code, lost.rcvd.reason)
