"""Where the hub reads `log` channels and who it asks what people may do: the port, and the one in memory."""

from typing import Protocol

import msgspec

from realtime.channels import keyed
from realtime.events import (
    AccessChanged,
    Ack,
    Act,
    Admission,
    Done,
    Event,
    Holder,
    Join,
    Outcome,
    Page,
    PageRequest,
    Presence,
    Read,
    Refused,
    Say,
    Signal,
)


class SourceUnavailable(Exception):  # noqa: N818 - a state, not a fault of the caller
    """Nobody answered within the deadline."""


class Hears(Protocol):
    """Who is told what happens. Called from the event loop; nothing here blocks or raises."""

    def wants(self, key: str) -> bool:
        """Whether events of a channel are worth decoding."""

    def events(self, key: str, events: list[Event]) -> None:
        """Durable events of a channel, in any order, perhaps again, perhaps with some missing."""

    def access(self, changed: AccessChanged) -> None:
        """What was known of somebody's access counts no more."""

    def signal(self, key: str, signal: Signal) -> None:
        """Something that counts only now, also this hub's own."""

    def presence(self, presence: Presence) -> None:
        """Who is at a hub, perhaps this one."""

    def revoked(self, sid: str, until: int) -> None:
        """A sign-in was ended; its tokens live until then (ms since the epoch)."""

    def lost_touch(self) -> None:
        """Events may have been missed on any channel."""


class LogSource(Protocol):
    """Log channels of a cell. Every question is answered or raises SourceUnavailable within 5 s."""

    def hears(self, listener: Hears) -> None:
        """Tell `listener` from now on."""

    async def join(self, asked: Join) -> Admission:
        """Answer whether somebody may read a channel, and where it stands."""

    async def page(self, asked: PageRequest) -> Page:
        """Answer consecutive events, the oldest first."""

    async def tops(self, keys: list[str]) -> list[int]:
        """Answer where channels stand, in order."""

    async def holder(self, key: str) -> Holder | None:
        """Answer whose an operator's key is; None when it is nobody's."""

    async def act(self, act: Act) -> Outcome:
        """Have something done; durable when answered. Doing it again has no second effect."""

    async def signal(self, key: str, signal: Signal) -> None:
        """Tell all hubs, if possible."""

    async def presence(self, presence: Presence) -> None:
        """Tell all hubs, if possible."""


class MemoryChannel:
    """A channel of the memory source: its events, and what was said with which key."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.keys: dict[tuple[str, str], int] = {}
        self.cursors: dict[tuple[str, str], int] = {}

    @property
    def top(self) -> int:
        """The position of the newest event."""
        return self.events[-1].s if self.events else 0


class MemorySource:
    """Channels in this process, open to all who may know them: the source of tests and offline demos.

    `step` is the distance of positions. `lose` makes it store events without telling of them.
    """

    def __init__(self, epoch: str = "memory", step: int = 1) -> None:
        self.epoch = epoch
        self.available = True
        self.lose = False
        self.pages = 0
        self.joins = 0
        self.denied: dict[tuple[str, str | None], str] = {}
        self.holders: dict[str, Holder] = {}
        self.key_checks = 0
        self._step = step
        self._channels: dict[str, MemoryChannel] = {}
        self._listeners: list[Hears] = []

    def hears(self, listener: Hears) -> None:
        """Tell `listener` too: several hubs may share one source."""
        self._listeners.append(listener)

    def channel(self, key: str) -> MemoryChannel:
        """Answer a channel, made when it is first named."""
        return self._channels.setdefault(key, MemoryChannel())

    def put(self, key: str, t: str, d: bytes) -> Event:
        """Be the feature: store an event and tell of it."""
        channel = self.channel(key)
        event = Event(channel.top + self._step, channel.top, t, d)
        channel.events.append(event)
        if not self.lose:
            for listener in self._listeners:
                listener.events(key, [event])
        return event

    def change_access(self, changed: AccessChanged) -> None:
        """Be the feature: let somebody in or keep them out."""
        if changed.code is not None:
            self.denied[changed.channel, changed.user] = changed.code
        for listener in self._listeners:
            listener.access(changed)

    def revoke(self, sid: str, until: int) -> None:
        """Be the feature: end a sign-in."""
        for listener in self._listeners:
            listener.revoked(sid, until)

    async def join(self, asked: Join) -> Admission:
        """Let in whoever was not denied."""
        self._ask()
        self.joins += 1
        code = self.denied.get((asked.channel, asked.user))
        if code is not None:
            return Admission(code=code)
        people = keyed(asked.channel).kind == "chat"
        return Admission(
            epoch=self.epoch,
            top=self.channel(asked.channel).top,
            can_write=asked.user is not None,
            receipts=people,
            people=people,
        )

    async def page(self, asked: PageRequest) -> Page:
        """Answer what was put."""
        self._ask()
        self.pages += 1
        events = self.channel(asked.channel).events
        if asked.after is not None:
            found = [each for each in events if each.s > asked.after]
            return Page(self.epoch, tuple(found[: asked.limit]), len(found) > asked.limit)
        found = [each for each in events if asked.before is None or each.s < asked.before]
        return Page(self.epoch, tuple(found[-asked.limit :]), len(found) > asked.limit)

    async def tops(self, keys: list[str]) -> list[int]:
        """Answer what was put last."""
        self._ask()
        return [self.channel(key).top for key in keys]

    async def holder(self, key: str) -> Holder | None:
        """Answer what was noted for the key."""
        self._ask()
        self.key_checks += 1
        return self.holders.get(key)

    async def act(self, act: Act) -> Outcome:
        """Do it, once for each client key."""
        self._ask()
        channel = self.channel(act.channel)
        match act:
            case Say(user=user, k=k, text=text):
                code = self.denied.get((act.channel, user))
                if code is not None:
                    return Refused(code)
                known = channel.keys.get((user, k))
                if known is None:
                    known = channel.keys[user, k] = self.put(act.channel, "msg", _said(user, text)).s
                return Done(known)
            case Ack(user=user, s=s) | Read(user=user, s=s):
                place = (user, "read" if isinstance(act, Read) else "ack")
                channel.cursors[place] = max(channel.cursors.get(place, 0), s)
                return Done(channel.cursors[place])

    async def signal(self, key: str, signal: Signal) -> None:
        """Tell all hubs."""
        for listener in self._listeners:
            listener.signal(key, signal)

    async def presence(self, presence: Presence) -> None:
        """Tell all hubs."""
        for listener in self._listeners:
            listener.presence(presence)

    def _ask(self) -> None:
        if not self.available:
            raise SourceUnavailable


def _said(user: str, text: str) -> bytes:
    return msgspec.json.encode({"user": user, "text": text})
