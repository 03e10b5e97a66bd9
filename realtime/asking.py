"""What clients ask of the cell: to say something, to move a cursor, to read back, to be seen writing."""

import asyncio
from collections.abc import Callable
from typing import Final, assert_never

import msgspec
import structlog

from realtime import events as wire
from realtime import protocol
from realtime.channels import ChannelName
from realtime.effects import Answer, Failed, Fetch, Identity, Mark, Request, Say, ShowTyping
from realtime.hub import Hub
from realtime.log_channel import LogChannel
from realtime.logs import Logs
from realtime.peer import Peer
from realtime.source import SourceUnavailable

_log = structlog.get_logger(__name__)

TYPING_TTL_MS: Final = 5_000
# A reply with events of the past; of more, the newest are answered and `more` says so.
HISTORY_BYTES: Final = 96 * 1024
# Requests of all clients under way. Full policy: refused as overloaded, which the client may repeat.
MAX_ASKING: Final = 8_192


class Asking:
    """Answers requests of clients, each by and by and in no order."""

    def __init__(self, hub: Hub, logs: Logs, clock: Callable[[], int]) -> None:
        self._hub = hub
        self._logs = logs
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def cancel(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()

    def request(self, peer: Peer, asked: Request) -> None:
        """Answer to the peer's session when the answer is there."""
        if len(self._tasks) >= MAX_ASKING:
            self._answer(peer, asked, Failed("overloaded"))
            return
        task = asyncio.create_task(self._settle(peer, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, peer: Peer, asked: Request) -> None:
        try:
            answer = await self._find(peer.session.identity, asked)
        except SourceUnavailable as error:
            _log.debug("a request cannot be answered now", why=str(error))
            answer = Failed("unavailable")
        except Exception:  # noqa: BLE001 - a fault of ours is a refusal to the client, and logged
            _log.exception("request failed")
            answer = Failed("unavailable")
        self._answer(peer, asked, answer)

    def _answer(self, peer: Peer, asked: Request, answer: Answer) -> None:
        peer.perform(peer.session.answered(asked.ref, answer, self._clock()))

    async def _find(self, identity: Identity | None, asked: Request) -> Answer:
        channel = self._hub.log(asked.channel)
        if channel is None:
            return Failed("wrong_state")  # a channel of this kind has no log
        if isinstance(asked, Fetch):
            return await self._fetch(channel, asked)
        if identity is None:
            return Failed("unauthenticated")
        admission = await self._logs.admit(channel, identity)
        if admission.code is not None:
            return Failed(admission.code)
        return await self._do(channel, identity, admission, asked)

    async def _do(
        self,
        channel: LogChannel,
        identity: Identity,
        admission: wire.Admission,
        asked: Say | Mark | ShowTyping,
    ) -> Answer:
        match asked:
            case Say(channel=name, key=key, text=text):
                if not admission.can_write:
                    return Failed("forbidden")
                said = wire.Say(name.key, identity.sub, identity.name, identity.role, key, text)
                return await self._act(said)
            case Mark(channel=name, s=s):
                # Nobody can have seen what is not there yet.
                return await self._mark(channel, identity, name, min(s, channel.top), read=asked.read)
            case ShowTyping(channel=name):
                return await self._show_typing(channel, identity, name, may=admission.can_write)
            case _:
                assert_never(asked)

    async def _act(self, act: wire.Act) -> Answer:
        match await self._logs.source.act(act):
            case wire.Done(s=s):
                return protocol.Placed(s)
            case wire.Refused(code=code, retry_ms=retry_ms):
                return Failed(code, retry_ms)

    async def _mark(
        self, channel: LogChannel, identity: Identity, name: ChannelName, s: int, *, read: bool
    ) -> Answer:
        if not channel.receipts:
            return protocol.Placed(s)
        kind = wire.Read if read else wire.Ack
        return await self._act(kind(name.key, identity.sub, s))

    async def _show_typing(
        self, channel: LogChannel, identity: Identity, name: ChannelName, *, may: bool
    ) -> Answer:
        if not may:
            return Failed("forbidden")
        if not channel.people:
            return Failed("wrong_state")  # among thousands, who is writing is noise
        body = protocol.TypingBody(identity.sub, TYPING_TTL_MS)
        signal = wire.Signal("typing", identity.sub, msgspec.json.encode(body))
        await self._logs.source.signal(name.key, signal)
        return protocol.Noted()

    async def _fetch(self, channel: LogChannel, asked: Fetch) -> Answer:
        known = channel.items(asked.before, asked.limit)
        if known is not None:
            return _trimmed(known)
        page = await self._logs.page(asked.channel, None, asked.before, asked.limit)
        items = tuple(protocol.Item(each.s, each.p, each.t, msgspec.Raw(each.d)) for each in page.events)
        return _trimmed(protocol.Items(items, page.more))


def _trimmed(items: protocol.Items) -> protocol.Items:
    """Answer the newest of HISTORY_BYTES, at least one."""
    size = 0
    for count, each in enumerate(reversed(items.items)):
        size += len(each.d) if isinstance(each.d, msgspec.Raw | bytes) else 0
        if size > HISTORY_BYTES and count:
            return protocol.Items(items.items[-count:], more=True)
    return items
