"""One channel of class `latest` of a hub: the newest state, coalesced. What it says is no business of the hub.

The first change goes out at once and then at most one event every COALESCE_MS, always ending with the newest
state. Where subscribers are counted, the hub adds the count as `viewers`. It is no part of the log, so a change of it
makes no new position: it rides on the next event, and when nothing else happens an event with `s == p == top`
carries it, at most every VIEWERS_MS. A client that checks `p` first applies that event, one that drops `s <= last`
first ignores it, and one that missed something sees the gap.
"""

from typing import Final

import msgspec

from realtime import protocol
from realtime.channels import ChannelName
from realtime.events import Shown
from realtime.packet import Packet
from realtime.protocol import ChannelState, Event
from realtime.subscriber import Subscriber

COALESCE_MS: Final = 100
VIEWERS_MS: Final = 2_000


class LatestChannel:
    """A channel as its subscribers know it. `top` and `told` are what the last event said."""

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

    def __init__(self, name: ChannelName, n: int, epoch: str, shown: Shown, now: int) -> None:
        self.name = name
        self.n = n
        self.epoch = epoch
        self.told = shown
        self.newest = shown
        self.top = shown.position
        self.previous = shown.position
        # The opening is no event: the first change does not wait for COALESCE_MS to pass since.
        self.told_at = now - COALESCE_MS
        self.viewers = 1
        self.subscribers: dict[Subscriber, None] = {}

    def state(self, epoch: str | None, since: int | None) -> ChannelState:
        """Answer what a subscriber who is at `since` of `epoch` has to know to go on from `top`."""
        if epoch == self.epoch and since == self.top:
            return ChannelState(self.n, self.epoch, self.top)
        return ChannelState(self.n, self.epoch, self.top, self._body(len(self.subscribers)))

    def due_at(self) -> int | None:
        """Answer when the next event may go out, which may have passed; None when nothing is new."""
        if self.newest is not self.told:
            return self.told_at + COALESCE_MS
        if self.name.family.viewers and len(self.subscribers) != self.viewers:
            return self.told_at + VIEWERS_MS
        return None

    def advance(self, now: int) -> Packet:
        """Make the newest state the last told one and answer its event, which every subscriber is owed."""
        self.previous = self.top
        self.told = self.newest
        self.top = self.told.position
        self.told_at = now
        self.viewers = len(self.subscribers)
        return self.event_after(self.previous)

    def event_after(self, position: int) -> Packet:
        """Answer the last told state as the event for one who is at `position`."""
        event = Event(self.n, self.top, position, self.name.kind, self._body(self.viewers))
        return Packet(protocol.encode(event), self.top)

    def _body(self, viewers: int) -> msgspec.Raw:
        text = self.told.text
        return msgspec.Raw(text[:-1] + b',"viewers":%d}' % viewers if self.name.family.viewers else text)
