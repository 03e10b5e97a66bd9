"""Presence of a hub's channels: who is here and at the other hubs, told at most every TOLD_MS."""

import asyncio
import contextlib
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

from realtime import protocol
from realtime.channels import keyed
from realtime.events import Presence
from realtime.hub import Hub
from realtime.log_channel import LogChannel
from realtime.packet import Packet
from realtime.presence import MAX_PEOPLE, Board, Here, told
from realtime.protocol import PresenceBody
from realtime.source import LogSource
from realtime.subscriber import Subscriber

STEP_SECONDS: Final = 0.5
BEAT_MS: Final = 1_000
TOLD_MS: Final = 2_000


class Whereabouts:
    """Keeps presence true: a hub that dies is forgotten after three of its beats."""

    def __init__(self, node: str, source: LogSource, hub: Hub, clock: Callable[[], int]) -> None:
        self._node = node
        self._source = source
        self._hub = hub
        self._clock = clock
        self._board = Board(node)
        self._told: dict[str, tuple[Here, int]] = {}
        self._dirty: set[str] = set()
        self._left: set[str] = set()
        self._beat_at = 0
        self._heard = asyncio.Event()

    def changed(self, channel: LogChannel) -> None:
        """Somebody of this hub came or went."""
        if channel.name.family.presence:
            self._dirty.add(channel.name.key)

    def take(self, presence: Presence) -> None:
        """Take what another hub tells."""
        self._dirty.update(self._board.take(presence, self._clock()))
        self._heard.set()

    async def appear(self) -> None:
        """Tell the other hubs at once that this one is there."""
        await self._beat()

    async def accompanied(self, seconds: float) -> bool:
        """Tell whether another hub is there, waiting at most so long for the first sign of one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._board.alone:
                    self._heard.clear()
                    await self._heard.wait()
        return not self._board.alone

    def shown(self, channel: LogChannel, coming: Subscriber) -> PresenceBody | None:
        """Answer the presence of a channel for somebody who comes just now."""
        if not channel.name.family.presence:
            return None
        own = _own(channel, channel.subscribers.keys() | {coming})
        return _body(channel, self._board.total(channel.name.key, own))

    async def run(self) -> None:
        """Tell what changed, and beat, for ever."""
        while True:
            await asyncio.sleep(STEP_SECONDS)
            now = self._clock()
            self._dirty.update(self._board.expire(now))
            self._tell(now)
            if now - self._beat_at >= BEAT_MS:
                self._beat_at = now
                await self._beat()

    def _tell(self, now: int) -> None:
        for key in list(self._dirty):
            channel = self._channel(key)
            if channel is None:
                self._dirty.discard(key)
                self._left.add(key)
                self._told.pop(key, None)
                continue
            here = self._board.total(key, _own(channel, channel.subscribers.keys()))
            last, at = self._told.get(key, (Here(), now - TOLD_MS))
            if here == last:
                self._dirty.discard(key)
            elif now - at >= TOLD_MS:
                self._dirty.discard(key)
                self._told[key] = (here, now)
                signal = protocol.Signal(channel.n, "presence", _body(channel, here))
                self._hub.signal(channel, Packet(protocol.encode(signal)))

    async def _beat(self) -> None:
        # Whoever is alone need not tell the whole picture: only that it is there, for others to answer.
        parts: dict[str, Here] = {}
        if not self._board.alone:
            parts = dict.fromkeys(self._left, Here())
            for channel in self._hub.logs():
                if channel.name.family.presence and channel.subscribers:
                    parts[channel.name.key] = _own(channel, channel.subscribers.keys())
        self._left.clear()
        for message in told(self._node, parts):
            await self._source.presence(message)

    def _channel(self, key: str) -> LogChannel | None:
        return self._hub.log(keyed(key))


def _own(channel: LogChannel, subscribers: AbstractSet[Subscriber]) -> Here:
    people: set[str] = set()
    if channel.people:
        people = {each.user for each in subscribers if each.user is not None}
    return Here(len(subscribers), frozenset(sorted(people)[:MAX_PEOPLE]))


def _body(channel: LogChannel, here: Here) -> PresenceBody:
    return PresenceBody(here.count, tuple(sorted(here.people)) if channel.people else None)
