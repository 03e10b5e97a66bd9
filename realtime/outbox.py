"""The one way a frame gets to a socket, within a budget of bytes.

While the socket keeps up, a frame is written at once. When its buffer is over the high-water mark the
socket lags: signals are then dropped, events of `latest` channels are not written but owed, one per channel,
and paid with the channel's newest state once the buffer has drained. Replies and events of `log` channels
are still written, up to the budget; over it the connection is to be closed and makes up by resuming.
"""

from typing import Final, Protocol

from realtime.packet import Packet
from realtime.subscriber import Conflated

HIGH_WATER: Final = 128 * 1024
LOW_WATER: Final = 32 * 1024
BUDGET: Final = 256 * 1024
STUCK_MS: Final = 10_000


class Wire(Protocol):
    """The transport below: a buffer that somebody else empties."""

    def write(self, packet: Packet) -> None:
        """Put a frame on the wire, or nothing if it is closing. Never blocks or raises."""

    def buffered(self) -> int:
        """Answer the bytes not yet taken by the kernel."""


class Outbox:
    """What goes out on one connection. `lagging` turns on and off with the wire's water marks."""

    __slots__ = ("_owed", "_wire", "lagging_since")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._owed: dict[Conflated, int] | None = None
        self.lagging_since: int | None = None

    @property
    def lagging(self) -> bool:
        """Whether the wire is over its high-water mark and has not drained since."""
        return self.lagging_since is not None

    def send(self, packet: Packet) -> bool:
        """Write what must not be dropped; False when the budget is spent and it was not written."""
        if self.lagging_since is not None and self._wire.buffered() + len(packet.frame) > BUDGET:
            return False
        self._wire.write(packet)
        return True

    def signal(self, packet: Packet) -> bool:
        """Write what may be dropped, if the wire keeps up; answers whether it was written."""
        if self.lagging_since is not None:
            return False
        self._wire.write(packet)
        return True

    def offer(self, channel: Conflated, packet: Packet) -> bool:
        """Write the channel's newest event, or owe it; answers whether it was written."""
        if self.lagging_since is None:
            self._wire.write(packet)
            return True
        if self._owed is None:
            self._owed = {}
        self._owed.setdefault(channel, channel.previous)
        return False

    def caught_up(self, channel: Conflated) -> None:
        """Owe nothing of a channel: its subscriber left, or is just being told its state."""
        if self._owed is not None:
            self._owed.pop(channel, None)

    def stalled(self, now: int) -> None:
        """Note that the wire is over its high-water mark."""
        self.lagging_since = now

    def drained(self) -> int:
        """Note that the wire is below its low-water mark, pay what is owed, and answer how many events that were."""
        self.lagging_since = None
        paid = 0
        while self._owed and not self.lagging:
            channel, position = self._owed.popitem()
            if position < channel.top:
                self._wire.write(channel.event_after(position))
                paid += 1
        return paid

    def stuck_at(self, stuck_ms: int = STUCK_MS) -> int | None:
        """Answer when the wire will not have drained for too long; None while it does not lag."""
        return None if self.lagging_since is None else self.lagging_since + stuck_ms
