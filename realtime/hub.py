"""The channels of one hub: who is subscribed, what they were told last, and what goes out next.

A channel of class `latest` sends its first change at once and then at most one event every
COALESCE_MS, always ending with the newest state. `viewers` is no part of the log, so a change of it
makes no new position: it rides on the next event, and when nothing else happens an event with
`s == p == top` carries it, at most every VIEWERS_MS. A client that checks `p` first applies that event,
one that drops `s <= last` first ignores it, and one that missed something sees the gap.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from realtime import protocol
from realtime.protocol import ChannelName, ChannelState, Event
from realtime.views import SaleView, tick_of

COALESCE_MS: Final = 100
VIEWERS_MS: Final = 2_000
SENDS_BETWEEN_YIELDS: Final = 256


class Subscriber(Protocol):
    """A connection, as a channel sees it."""

    def offer(self, channel: "Channel", frame: bytes) -> None:
        """Take the channel's newest event, ready for the wire; its `p` is `channel.previous`. Never blocks or raises."""


class Channel:
    """One `sale:` channel. `top` and `told` are what the last event said."""

    __slots__ = (
        "epoch",
        "n",
        "name",
        "newest",
        "previous",
        "subscribers",
        "told",
        "told_at",
        "top",
        "viewers",
    )

    def __init__(self, name: ChannelName, n: int, epoch: str, view: SaleView, now: int) -> None:
        self.name = name
        self.n = n
        self.epoch = epoch
        self.told = view
        self.newest = view
        self.top = view.position
        self.previous = view.position
        # The opening is no event: the first change does not wait for COALESCE_MS to pass since.
        self.told_at = now - COALESCE_MS
        self.viewers = 1
        self.subscribers: dict[Subscriber, None] = {}

    def state(self, epoch: str | None, since: int | None) -> ChannelState:
        """Answer what a subscriber who is at `since` of `epoch` has to know to go on from `top`."""
        if epoch == self.epoch and since == self.top:
            return ChannelState(self.n, self.epoch, self.top)
        snapshot = protocol.encode_value(tick_of(self.told, len(self.subscribers)))
        return ChannelState(self.n, self.epoch, self.top, snapshot)

    def due_at(self) -> int | None:
        """Answer when the next event may go out, which may have passed; None when nothing is new."""
        if self.newest is not self.told:
            return self.told_at + COALESCE_MS
        if len(self.subscribers) != self.viewers:
            return self.told_at + VIEWERS_MS
        return None

    def advance(self, now: int) -> bytes:
        """Make the newest state the last told one and answer its event, which every subscriber is owed."""
        self.previous = self.top
        self.told = self.newest
        self.top = self.told.position
        self.told_at = now
        self.viewers = len(self.subscribers)
        return self.event_after(self.previous)

    def event_after(self, position: int) -> bytes:
        """Answer the last told state, ready for the wire, as the event for one who is at `position`."""
        tick = tick_of(self.told, self.viewers)
        return protocol.text_frame(protocol.encode(Event(self.n, self.top, position, self.name.kind, tick)))


class Hub:
    """Registry of channels and their one broadcaster. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """`clock` answers ms that only go forward."""
        self._clock = clock
        self._channels: dict[str, Channel] = {}
        self._by_number: dict[int, Channel] = {}
        self._numbers = 0
        self._due: dict[Channel, int] = {}
        self._changed = asyncio.Event()

    # --- subscribers ---

    def channel(self, name: ChannelName) -> Channel | None:
        """Answer the channel if anybody is subscribed to it."""
        return self._channels.get(str(name))

    def names(self) -> Iterable[ChannelName]:
        """Answer the channels that somebody is subscribed to."""
        return [channel.name for channel in self._channels.values()]

    def join(self, name: ChannelName, subscriber: Subscriber, epoch: str, view: SaleView) -> Channel:
        """Subscribe, opening the channel at `view` if nobody was there. Subscribing twice is once."""
        channel = self._channels.get(str(name))
        if channel is None:
            self._numbers += 1
            channel = Channel(name, self._numbers, epoch, view, self._clock())
            self._channels[str(name)] = self._by_number[channel.n] = channel
        channel.subscribers[subscriber] = None
        self._mark(channel)
        return channel

    def leave(self, n: int, subscriber: Subscriber) -> None:
        """Unsubscribe; the last one out closes the channel and gives up its number."""
        channel = self._by_number.get(n)
        if channel is None:
            return
        channel.subscribers.pop(subscriber, None)
        if channel.subscribers:
            self._mark(channel)
            return
        del self._channels[str(channel.name)], self._by_number[n]
        self._due.pop(channel, None)

    def close_channels(self) -> None:
        """Forget every channel, because its positions count no more. Subscribers are to be sent away."""
        self._channels.clear()
        self._by_number.clear()
        self._due.clear()

    # --- events ---

    def publish(self, view: SaleView) -> None:
        """Take a newer state of a sale; one that is not newer, or that nobody watches, is ignored."""
        channel = self._channels.get(f"sale:{view.id}")
        if channel is not None and view.position > channel.newest.position:
            channel.newest = view
            self._mark(channel)

    def _mark(self, channel: Channel) -> None:
        at = channel.due_at()
        if at is None:
            self._due.pop(channel, None)
        elif self._due.get(channel) != at:
            self._due[channel] = at
            self._changed.set()

    async def run(self) -> None:
        """Broadcast what is due, for ever. Full policy: the newest state replaces the one not yet sent."""
        while True:
            wait = await self._broadcast_due()
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _broadcast_due(self) -> float | None:
        """Send what is due and answer the seconds until something is; None when nothing waits."""
        now = self._clock()
        for channel in [each for each, at in self._due.items() if at <= now]:
            if self._due.pop(channel, None) is not None:
                await self._broadcast(channel)
        if not self._due:
            return None
        return max(0.0, (min(self._due.values()) - self._clock()) / 1000)

    async def _broadcast(self, channel: Channel) -> None:
        frame = channel.advance(self._clock())
        for count, subscriber in enumerate(list(channel.subscribers), 1):
            if subscriber in channel.subscribers:
                subscriber.offer(channel, frame)
            if count % SENDS_BETWEEN_YIELDS == 0:
                # A turn of the loop, so that a big room does not hold up everybody's replies.
                await asyncio.sleep(0)
        self._mark(channel)
