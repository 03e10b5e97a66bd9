"""A connection as channels see it."""

from typing import Protocol

from realtime.packet import Packet


class Conflated(Protocol):
    """A channel of which a slow reader gets only the newest state."""

    previous: int
    top: int

    def event_after(self, position: int) -> Packet:
        """Answer the newest state as the event for one who is at `position`."""


class Subscriber(Protocol):
    """Who is written to. Nothing here blocks or raises. `now` is ms of the loop's forward clock."""

    @property
    def user(self) -> str | None:
        """The account that the connection speaks for."""

    def offer(self, channel: Conflated, packet: Packet, now: int) -> None:
        """Take the channel's newest event; its `p` is `channel.previous`. May be owed instead."""

    def deliver(self, packet: Packet, now: int) -> None:
        """Take events that must not be missed: written, or else the connection is closed."""

    def signal(self, packet: Packet) -> None:
        """Take what counts only now; the first to be dropped."""
