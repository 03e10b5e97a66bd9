"""One `log` channel of a hub: its newest events, and whether any is missing between them.

Pure: who reads what is missing, and who writes to whom, is decided around it.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import msgspec

from realtime import protocol
from realtime.channels import ChannelName
from realtime.events import REDACTS, Event
from realtime.packet import Packet, packed
from realtime.subscriber import Subscriber

RING: Final = 256

_encode = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True):
    """An event as its JSON text, ready to be framed."""

    s: int
    p: int
    text: bytes


def entry(n: int, event: Event) -> Entry:
    """Answer an event of the channel with number `n` as clients get it."""
    head = b'{"n":%d,"s":%d,"p":%d,"t":%s,"d":' % (n, event.s, event.p, _encode(event.t))
    return Entry(event.s, event.p, head + event.d + b"}")


class LogChannel:
    """The newest RING events of a channel, without a gap, up to `top`.

    `subscribers` tells up to where each was sent everything; what some of them lack is in `fresh`. `behind` tells
    that an event after `top` exists that is not here.
    """

    __slots__ = (
        "_packets",
        "_ring",
        "behind",
        "epoch",
        "fresh",
        "heard",
        "n",
        "name",
        "people",
        "readers",
        "receipts",
        "sending",
        "subscribers",
        "top",
    )

    def __init__(self, name: ChannelName, n: int) -> None:
        self.name = name
        self.n = n
        self.epoch: str | None = None  # None until it was opened
        self.top = 0
        self.heard = 0  # the newest position that anybody spoke of
        self.behind = False
        self.sending = False
        self.people = False  # whether presence tells who is here
        self.receipts = False  # whether cursors mean something here
        self.fresh: list[Entry] = []
        self.subscribers: dict[Subscriber, int] = {}
        # Who wants the channel kept: subscribers, those who catch up, those who are being let in.
        self.readers: dict[Subscriber, int] = {}
        self._ring: deque[Entry] = deque(maxlen=RING)
        self._packets: dict[int, list[Packet]] = {}

    @property
    def opened(self) -> bool:
        """Whether it is known where the channel stands."""
        return self.epoch is not None

    def open(self, epoch: str, top: int) -> None:
        """Start at `top`, as answered by the source; events heard of meanwhile are missing."""
        self.epoch = epoch
        self.top = top
        self.behind = self.heard > top

    def take(self, events: Iterable[Event]) -> None:
        """Append the events that follow, drop those that are known; anything else leaves the channel `behind`."""
        for event in events:
            self.heard = max(self.heard, event.s)
            if not self.opened or event.s <= self.top:
                continue
            if event.p == self.top:
                made = entry(self.n, event)
                if event.t in REDACTS:
                    self._ring.clear()
                self._ring.append(made)
                self.fresh.append(made)
                self._packets.clear()
                self.top = event.s
        self.behind = self.opened and self.heard > self.top

    def note(self, top: int) -> None:
        """Take that the source stands at `top`."""
        self.heard = max(self.heard, top)
        self.behind = self.opened and self.heard > self.top

    def packets(self, position: int) -> list[Packet]:
        """Answer what a subscriber lacks that was sent everything up to `position`, made once for all who are there."""
        found = self._packets.get(position)
        if found is None:
            lacking = self.fresh[bisect_right(self.fresh, position, key=_position) :]
            found = self._packets[position] = packed((each.s, each.text) for each in lacking)
        return found

    def sent(self, position: int) -> None:
        """Take that every subscriber was sent everything up to `position`."""
        del self.fresh[: bisect_right(self.fresh, position, key=_position)]

    def after(self, position: int) -> list[Entry] | None:
        """Answer the entries after `position`; None when they are not all here."""
        if position >= self.top:
            return []
        found: list[Entry] = []
        for each in reversed(self._ring):
            found.append(each)
            if each.p == position:
                found.reverse()
                return found
            if each.p < position:
                return None
        return None

    def unbroken(self) -> bool:
        """Tell whether every entry follows the one before it: the law of the ring."""
        return all(later.p == earlier.s for earlier, later in pairwise(self._ring))

    def items(self, before: int | None, limit: int) -> protocol.Items | None:
        """Answer up to `limit` events before a position from the ring; None when it does not reach so far."""
        if not self._ring:
            return None
        older = [each for each in self._ring if before is None or each.s < before]
        if len(older) < limit and (not older or older[0].p != 0):
            return None
        chosen = older[-limit:]
        return protocol.Items(tuple(_item(each) for each in chosen), more=chosen[0].p != 0)


def _position(each: Entry) -> int:
    return each.s


def _item(each: Entry) -> protocol.Item:
    return msgspec.json.decode(each.text, type=_AsItem).item()


class _AsItem(msgspec.Struct):
    s: int
    p: int
    t: str
    d: msgspec.Raw

    def item(self) -> protocol.Item:
        return protocol.Item(self.s, self.p, self.t, self.d)
