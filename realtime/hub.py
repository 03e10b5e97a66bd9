"""The channels of one hub: who is subscribed, and who is written to next.

Small audiences are written to at once. Big ones wait for the broadcaster, which sweeps over the room for as long as
somebody lacks something, and writes to each all that it lacks at that moment, several events to a frame. What arrives
during a sweep goes out with it to those who come later in it. After every SENDS_BETWEEN_YIELDS writes the loop has a
turn, so that a conversation is never queued behind a room.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from realtime.channels import ChannelName
from realtime.events import Event, Shown
from realtime.latest import LatestChannel
from realtime.log_channel import LogChannel
from realtime.packet import Packet
from realtime.subscriber import Subscriber

SMALL_AUDIENCE: Final = 256
# A message needs some ten turns of the loop on its way in and out, and a write takes about 8 µs.
SENDS_BETWEEN_YIELDS: Final = 16

Channel = LatestChannel | LogChannel


class Hub:
    """Registry of channels and their one broadcaster. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """`clock` answers ms that only go forward."""
        self._clock = clock
        self._channels: dict[str, Channel] = {}
        self._by_number: dict[int, Channel] = {}
        self._numbers = 0
        self._due: dict[LatestChannel, int] = {}
        self._waiting: dict[LogChannel, None] = {}
        self._changed = asyncio.Event()
        self._on_behind: Callable[[LogChannel], None] = _ignore

    # --- registry ---

    def latest(self, name: ChannelName) -> LatestChannel | None:
        """Answer the `latest` channel if anybody is subscribed to it."""
        channel = self._channels.get(name.key)
        return channel if isinstance(channel, LatestChannel) else None

    def log(self, name: ChannelName) -> LogChannel | None:
        """Answer the `log` channel if anybody wants it kept."""
        channel = self._channels.get(name.key)
        return channel if isinstance(channel, LogChannel) else None

    def logs(self) -> Iterator[LogChannel]:
        """Answer the `log` channels."""
        return (each for each in self._channels.values() if isinstance(each, LogChannel))

    @property
    def channels(self) -> int:
        """How many channels are kept."""
        return len(self._channels)

    def names(self) -> Iterable[ChannelName]:
        """Answer the channels that somebody is subscribed to."""
        return [channel.name for channel in self._channels.values()]

    def join(self, name: ChannelName, subscriber: Subscriber, epoch: str, shown: Shown) -> LatestChannel:
        """Subscribe, opening the channel at `shown` if nobody was there. Subscribing twice is once."""
        channel = self.latest(name)
        if channel is None:
            channel = LatestChannel(name, self._number(), epoch, shown, self._clock())
            self._enter(channel)
        channel.subscribers[subscriber] = None
        self._mark(channel)
        return channel

    def keep(self, name: ChannelName, reader: Subscriber) -> LogChannel:
        """Answer the `log` channel, kept for `reader` as often as this is called; events are taken from now on."""
        channel = self.log(name)
        if channel is None:
            channel = LogChannel(name, self._number())
            self._enter(channel)
        channel.readers[reader] = channel.readers.get(reader, 0) + 1
        return channel

    def release(self, channel: LogChannel, reader: Subscriber) -> None:
        """Undo one `keep`."""
        left = channel.readers.get(reader, 0) - 1
        if left > 0:
            channel.readers[reader] = left
        else:
            channel.readers.pop(reader, None)
        self._close_if_empty(channel)

    def leave(self, n: int, subscriber: Subscriber) -> Channel | None:
        """Unsubscribe and answer the channel; the last one out closes it and gives up its number."""
        channel = self._by_number.get(n)
        if channel is None:
            return None
        channel.subscribers.pop(subscriber, None)
        if isinstance(channel, LatestChannel) and channel.subscribers:
            self._mark(channel)
        self._close_if_empty(channel)
        return channel

    def close_channels(self) -> None:
        """Forget every channel, because its positions count no more. Subscribers are to be sent away."""
        self._channels.clear()
        self._by_number.clear()
        self._due.clear()
        self._waiting.clear()

    def forget(self, channel: Channel) -> None:
        """Forget one channel, because its positions count no more."""
        if self._by_number.pop(channel.n, None) is None:
            return
        self._channels.pop(channel.name.key, None)
        if isinstance(channel, LatestChannel):
            self._due.pop(channel, None)
        else:
            self._waiting.pop(channel, None)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _enter(self, channel: Channel) -> None:
        self._channels[channel.name.key] = self._by_number[channel.n] = channel

    def _close_if_empty(self, channel: Channel) -> None:
        if not channel.subscribers and not (isinstance(channel, LogChannel) and channel.readers):
            self.forget(channel)

    # --- events ---

    def on_behind(self, callback: Callable[[LogChannel], None]) -> None:
        """Call back when events of a channel are missing."""
        self._on_behind = callback

    def publish(self, key: str, shown: Shown) -> None:
        """Take a newer state of a channel; one that is not newer, or that nobody watches, is ignored."""
        channel = self._channels.get(key)
        if isinstance(channel, LatestChannel) and shown.position > channel.newest.position:
            channel.newest = shown
            self._mark(channel)

    def take(self, key: str, events: Iterable[Event]) -> None:
        """Take durable events of a channel in any order, known ones too; ignored where nobody reads."""
        channel = self._channels.get(key)
        if not isinstance(channel, LogChannel):
            return
        channel.take(events)
        self.flush(channel)
        if channel.behind:
            self._on_behind(channel)

    def flush(self, channel: LogChannel) -> None:
        """Send what subscribers lack, now or in its turn."""
        if not channel.fresh:
            return
        if channel.sending or len(channel.subscribers) > SMALL_AUDIENCE:
            self._waiting[channel] = None
            self._changed.set()
            return
        now = self._clock()
        for subscriber in list(channel.subscribers):
            _bring_up_to_date(channel, subscriber, now)
        channel.sent(channel.top)

    def signal(self, channel: LogChannel, packet: Packet, *, but: str | None = None) -> None:
        """Send what counts only now to the subscribers, those of the account `but` left out."""
        for subscriber in list(channel.subscribers):
            if but is None or subscriber.user != but:
                subscriber.signal(packet)

    # --- the broadcaster ---

    def _mark(self, channel: LatestChannel) -> None:
        at = channel.due_at()
        if at is None:
            self._due.pop(channel, None)
        elif self._due.get(channel) != at:
            self._due[channel] = at
            self._changed.set()

    async def run(self) -> None:
        """Broadcast what is due, for ever. Full policy: the newest state replaces the one not yet sent."""
        while True:
            self._changed.clear()
            wait = await self._broadcast_due()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _broadcast_due(self) -> float | None:
        """Send what is due and answer the seconds until something is; None when nothing waits."""
        for log_channel in list(self._waiting):
            if self._waiting.pop(log_channel, 0) is None:
                await self._broadcast_log(log_channel)
        now = self._clock()
        for channel in [each for each, at in self._due.items() if at <= now]:
            if self._due.pop(channel, None) is not None:
                await self._broadcast(channel)
        if self._waiting:
            return 0.0
        if not self._due:
            return None
        return max(0.0, (min(self._due.values()) - self._clock()) / 1000)

    async def _broadcast(self, channel: LatestChannel) -> None:
        now = self._clock()
        packet = channel.advance(now)
        for count, subscriber in enumerate(list(channel.subscribers), 1):
            if subscriber in channel.subscribers:
                subscriber.offer(channel, packet, now)
            if count % SENDS_BETWEEN_YIELDS == 0:
                # A turn of the loop, so that a big room does not hold up everybody's replies.
                await asyncio.sleep(0)
        self._mark(channel)

    async def _broadcast_log(self, channel: LogChannel) -> None:
        """Sweep once. Who lacks something at its end has the next sweep."""
        channel.sending = True
        begin, now, written = channel.top, self._clock(), 0
        try:
            for subscriber in list(channel.subscribers):
                if _bring_up_to_date(channel, subscriber, now):
                    written += 1
                    if written % SENDS_BETWEEN_YIELDS == 0:
                        await asyncio.sleep(0)
                        now = self._clock()
            channel.sent(begin)
        finally:
            channel.sending = False


def _bring_up_to_date(channel: LogChannel, subscriber: Subscriber, now: int) -> bool:
    """Send what a subscriber lacks, if it still is one; answers whether that was anything."""
    position = channel.subscribers.get(subscriber)
    if position is None or position >= channel.top:
        return False
    channel.subscribers[subscriber] = channel.top
    for packet in channel.packets(position):
        subscriber.deliver(packet, now)
    return True


def _ignore(_channel: LogChannel) -> None:
    """Nobody reads what is missing: a hub without log channels."""
