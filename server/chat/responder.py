"""Answers what hubs ask over core NATS, together with the other processes of the role."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from cells.kernel.errors import Rejected
from cells.log.chain import Broken
from cells.log.port import LogUnavailable

_log = structlog.get_logger(__name__)

QUEUE = "titan"
ANSWER_SECONDS = 4.0
AT_ONCE = 1_024
PENDING_MESSAGES = 4_096

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode


class Responder:
    """One task a request, at most `AT_ONCE` of them. What cannot be answered now gets an empty payload at once."""

    def __init__(self, bus: Client) -> None:
        self._bus = bus
        self._running: set[asyncio.Task[None]] = set()

    async def listen(self, subject: str, kind: type[T], answer: Callable[[T], Awaitable[object]]) -> None:
        """Answer requests of a kind on a subject. `answer` may raise `Rejected` or `LogUnavailable`: not now."""
        await self.serve(subject, msgspec.msgpack.Decoder(kind).decode, answer)

    async def serve(
        self, subject: str, decode: Callable[[bytes], T], answer: Callable[[T], Awaitable[object]]
    ) -> None:
        """Like `listen`, for payloads that are read otherwise. `decode` may raise `MsgspecError`."""

        async def received(message: Msg) -> None:
            if len(self._running) >= AT_ONCE:
                await self._say(message.reply, b"")
                return
            task = asyncio.create_task(self._answer(message, decode, answer))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        await self._bus.subscribe(subject, queue=QUEUE, cb=received, pending_msgs_limit=PENDING_MESSAGES)

    async def _answer(
        self, message: Msg, decode: Callable[[bytes], T], answer: Callable[[T], Awaitable[object]]
    ) -> None:
        payload = b""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                payload = _encode(await answer(decode(message.data)))
        except (Rejected, LogUnavailable, TimeoutError) as error:
            _log.info("not answered now", subject=message.subject, reason=str(error))
        except (msgspec.MsgspecError, Broken) as error:
            _log.error("cannot be answered", subject=message.subject, reason=str(error))
        except Exception:  # noqa: BLE001 - whoever asks must be answered, whatever went wrong
            _log.exception("a request of a hub failed", subject=message.subject)
        await self._say(message.reply, payload)

    async def _say(self, reply: str, payload: bytes) -> None:
        try:
            await self._bus.publish(reply, payload)
        except (NatsError, OSError) as error:
            _log.warning("an answer was not sent", reason=repr(error))
