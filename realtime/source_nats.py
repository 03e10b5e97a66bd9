"""A LogSource over core NATS: the subjects and structs of events.py."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from realtime import events as wire
from realtime.channels import keyed
from realtime.events import (
    AccessChanged,
    Act,
    Acts,
    Admission,
    Event,
    Holder,
    Join,
    Outcome,
    Page,
    PageRequest,
    Presence,
    Signal,
    TopsRequest,
)
from realtime.source import Hears, SourceUnavailable

_log = structlog.get_logger(__name__)

READ_SECONDS: Final = 2.0
ACT_SECONDS: Final = 5.0
TRY_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 0.05
ACTS_AT_ONCE: Final = 256
# Acts that wait for their turn or their answer. Full policy: refused as unavailable, which the client may repeat.
MAX_ACTS: Final = 8_192
# Full policy: nats-py drops the newest message; the next event or the look at the tops makes up for it.
PENDING_MESSAGES: Final = 65_536

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_decode_events = msgspec.msgpack.Decoder(list[Event]).decode
_decode_news = msgspec.msgpack.Decoder(list[wire.News]).decode
_decode_admission = msgspec.msgpack.Decoder(Admission).decode
_decode_page = msgspec.msgpack.Decoder(Page).decode
_decode_tops = msgspec.msgpack.Decoder(list[int]).decode
_decode_holder = msgspec.msgpack.Decoder(Holder | None).decode
_decode_outcomes = msgspec.msgpack.Decoder(list[Outcome]).decode
_decode_access = msgspec.msgpack.Decoder(AccessChanged).decode
_decode_signal = msgspec.msgpack.Decoder(Signal).decode
_decode_presence = msgspec.msgpack.Decoder(Presence).decode

_KIND_OF: Final = {token: kind for kind, token in wire.LIVE.items()}


class _Revoked(msgspec.Struct, frozen=True):
    sid: str
    exp: int


_decode_revoked = msgspec.msgpack.Decoder(_Revoked).decode


class NatsSource:
    """Log channels of one cell. Use `reconnected` as the connection's `on_reconnect`."""

    def __init__(self, client: Client, cell: str) -> None:
        self.client = client
        self._cell = cell
        self._listener: Hears | None = None
        self._acts: list[tuple[Act, asyncio.Future[Outcome]]] = []
        self._asking = 0
        self._sending: set[asyncio.Task[None]] = set()

    def hears(self, listener: Hears) -> None:
        """Tell `listener`, once `start` was called."""
        self._listener = listener

    async def start(self) -> None:
        """Subscribe to what the cell tells; nothing told after this returns is missed. Raises NATS errors."""
        cell = self._cell
        for kind in wire.LIVE:
            await self._subscribe(wire.live_subject(cell, kind, "*"), self._on_events)
        await self._subscribe(wire.news_subject(cell), self._on_news)
        await self._subscribe(wire.access_subject(cell), self._on_access)
        await self._subscribe(wire.signal_subject(cell, "*", "*"), self._on_signal)
        await self._subscribe(wire.presence_subject(cell, "*"), self._on_presence)
        await self._subscribe(wire.revoked_subject(cell), self._on_revoked)
        await self.client.flush()

    def reconnected(self) -> None:
        """Say that events may have been missed."""
        if self._listener is not None:
            self._listener.lost_touch()

    # --- what the cell tells ---

    async def _subscribe(self, subject: str, take: Callable[[Hears, Msg], None]) -> None:
        async def received(message: Msg) -> None:
            if self._listener is None:
                return
            try:
                take(self._listener, message)
            except msgspec.DecodeError as error:
                _log.error("message unreadable", subject=message.subject, error=str(error))

        await self.client.subscribe(subject, cb=received, pending_msgs_limit=PENDING_MESSAGES)

    @staticmethod
    def _on_events(listener: Hears, message: Msg) -> None:
        token, _, rest = message.subject.split(".", 2)[2].partition(".")
        key = f"{_KIND_OF[token]}:{rest}"
        if listener.wants(key):
            listener.events(key, _decode_events(message.data))

    @staticmethod
    def _on_news(listener: Hears, message: Msg) -> None:
        for news in _decode_news(message.data):
            key = f"me:{news.account}"
            if listener.wants(key):
                listener.events(key, _decode_events(news.events))

    @staticmethod
    def _on_access(listener: Hears, message: Msg) -> None:
        listener.access(_decode_access(message.data))

    @staticmethod
    def _on_signal(listener: Hears, message: Msg) -> None:
        kind, _, rest = message.subject.split(".", 3)[3].partition(".")
        listener.signal(f"{kind}:{rest}", _decode_signal(message.data))

    @staticmethod
    def _on_presence(listener: Hears, message: Msg) -> None:
        listener.presence(_decode_presence(message.data))

    @staticmethod
    def _on_revoked(listener: Hears, message: Msg) -> None:
        revoked = _decode_revoked(message.data)
        listener.revoked(revoked.sid, revoked.exp)

    async def signal(self, key: str, signal: Signal) -> None:
        """Tell all hubs, or nobody while disconnected."""
        name = keyed(key)
        await self._tell(wire.signal_subject(self._cell, name.kind, name.id), signal)

    async def presence(self, presence: Presence) -> None:
        """Tell all hubs, or nobody while disconnected."""
        await self._tell(wire.presence_subject(self._cell, presence.node), presence)

    async def _tell(self, subject: str, told: Signal | Presence) -> None:
        try:
            await self.client.publish(subject, _encode(told))
        except (NatsError, OSError) as error:
            _log.debug("not told", subject=subject, error=repr(error))

    # --- questions ---

    async def join(self, asked: Join) -> Admission:
        """Ask the feature."""
        subject = wire.join_subject(self._cell, keyed(asked.channel).kind)
        return await self._ask(subject, _encode(asked), _decode_admission, READ_SECONDS)

    async def page(self, asked: PageRequest) -> Page:
        """Ask the feature."""
        subject = wire.page_subject(self._cell, keyed(asked.channel).kind)
        return await self._ask(subject, _encode(asked), _decode_page, READ_SECONDS)

    async def tops(self, keys: list[str]) -> list[int]:
        """Ask both sides, each for its own."""
        tops: dict[str, int] = {}
        for kinds in (("room", "chat"), ("me",)):
            own = [key for key in keys if keyed(key).kind in kinds]
            for start in range(0, len(own), wire.MAX_TOPS):
                part = own[start : start + wire.MAX_TOPS]
                subject = wire.tops_subject(self._cell, kinds[0])
                asked = _encode(TopsRequest(tuple(part)))
                found = await self._ask(subject, asked, _decode_tops, READ_SECONDS)
                tops |= dict(zip(part, found, strict=False))
        return [tops.get(key, 0) for key in keys]

    async def holder(self, key: str) -> Holder | None:
        """Ask the api."""
        return await self._ask(wire.key_subject(self._cell), key.encode(), _decode_holder, READ_SECONDS)

    async def _ask(self, subject: str, payload: bytes, decode: Callable[[bytes], T], seconds: float) -> T:
        """Ask until somebody answers or the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        problem = "nobody can answer now"
        while (left := end - loop.time()) > 0:
            try:
                answer = await self.client.request(subject, payload, timeout=min(left, TRY_SECONDS))
                if answer.data:
                    return decode(answer.data)
            except (NatsError, TimeoutError, OSError) as error:
                problem = repr(error)
            except msgspec.DecodeError as error:
                raise SourceUnavailable(f"{subject}: {error}") from error
            # The pace of questions: whoever answers may be about to change.
            await asyncio.sleep(min(AGAIN_SECONDS, max(0.0, end - loop.time())))
        raise SourceUnavailable(f"{subject}: {problem}")

    async def act(self, act: Act) -> Outcome:
        """Ask the feature, together with what else is asked in this turn of the loop."""
        if self._asking >= MAX_ACTS:
            raise SourceUnavailable("too many acts wait for an answer")
        loop = asyncio.get_running_loop()
        if not self._acts:
            loop.call_soon(self._send_acts)
        answer: asyncio.Future[Outcome] = loop.create_future()
        self._acts.append((act, answer))
        self._asking += 1
        try:
            return await answer
        finally:
            self._asking -= 1

    def _send_acts(self) -> None:
        acts, self._acts = self._acts, []
        for start in range(0, len(acts), ACTS_AT_ONCE):
            task = asyncio.create_task(self._settle(acts[start : start + ACTS_AT_ONCE]))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _settle(self, batch: list[tuple[Act, asyncio.Future[Outcome]]]) -> None:
        asked = Acts(time.time_ns() // 1_000_000 + int(ACT_SECONDS * 1000), tuple(act for act, _ in batch))

        def decode(data: bytes) -> list[Outcome]:
            outcomes = _decode_outcomes(data)
            if len(outcomes) != len(batch):
                raise msgspec.DecodeError(f"{len(outcomes)} outcomes of {len(batch)} acts")
            return outcomes

        await _share(batch, self._ask(wire.act_subject(self._cell), _encode(asked), decode, ACT_SECONDS))


async def _share(batch: list[tuple[Act, asyncio.Future[Outcome]]], asking: Awaitable[list[Outcome]]) -> None:
    try:
        outcomes = await asking
    except SourceUnavailable as error:
        for _, answer in batch:
            if not answer.done():
                answer.set_exception(error)
        return
    for (_, answer), outcome in zip(batch, outcomes, strict=True):
        if not answer.done():
            answer.set_result(outcome)
