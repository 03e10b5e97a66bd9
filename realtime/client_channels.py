"""What a client knows of the channels it follows: where it is in each, by the gap rule, and what is still unread."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from realtime.channels import CHANNELS, Delivery
from realtime.client_link import Incoming
from realtime.protocol import ChannelState, TakenOff

# Full policy: of a channel of class `latest` a newer update replaces the unread one; behind this many unread events
# of `log` channels the connection is not read on, so that the server sees a slow reader.
MAX_UNREAD: Final = 50_000


class Update(msgspec.Struct, frozen=True):
    """What a channel tells: an event, a snapshot, or a signal, which moves nothing; `t` says which.

    `body` is JSON as it came, and `value` what it says, decoded at each look. `reset`: the channel was made anew, and
    what was known of it is to be thrown away.
    """

    channel: str
    position: int
    body: msgspec.Raw = msgspec.Raw(b"null")
    t: str = "snapshot"
    reset: bool = False

    @property
    def value(self) -> Any:
        return msgspec.json.decode(self.body)


class Place(msgspec.Struct):
    """Where a client is in a channel, and the channel's number on the connection it is followed over."""

    n: int
    epoch: str
    last: int


class Gap(msgspec.Struct, frozen=True):
    """Something is missing in a channel: it is to be asked for again from the client's place."""

    channel: str


def applies(last: int, event_s: int, event_p: int) -> bool | None:
    """Decide by the gap rule: True apply, False drop, None ask again from `last`."""
    if event_p == last:
        return True
    return False if event_s <= last else None


def is_log(channel: str) -> bool:
    """Tell whether every event of a channel counts; one of an unknown kind is taken for such a channel."""
    family = CHANNELS.get(channel.partition(":")[0])
    return family is None or family.delivery is not Delivery.LATEST


class Places:
    """The places of one client, by channel. Numbers count for one connection only; `forget_numbers` between two."""

    def __init__(self) -> None:
        self.by_name: dict[str, Place] = {}
        self._names: dict[int, str] = {}

    def get(self, channel: str) -> Place | None:
        """Answer where the client is; None in a channel that it does not follow."""
        return self.by_name.get(channel)

    def resume(self) -> list[tuple[str, str, int]]:
        """Answer what a hello has to name, to go on everywhere."""
        return [(name, place.epoch, place.last) for name, place in self.by_name.items()]

    def forget_numbers(self) -> None:
        """Take that another connection begins."""
        self._names.clear()

    def leave(self, channel: str) -> Place | None:
        """Follow a channel no more; answer where the client was."""
        place = self.by_name.pop(channel, None)
        if place is not None:
            self._names.pop(place.n, None)
        return place

    def enter(self, channel: str, state: ChannelState) -> list[Update]:
        """Go on as the server answered; answer what that tells."""
        place = self.by_name.get(channel)
        goes_on = place is not None and place.epoch == state.epoch and not state.reset
        log, updates = is_log(channel), list[Update]()
        if place is not None and goes_on and (log or state.snapshot is None):
            place.n = state.n
        else:
            self.by_name[channel] = Place(state.n, state.epoch, state.top)
            if place is not None and log:
                updates.append(Update(channel, state.top, t="reset", reset=True))
        self._names = {n: each for n, each in self._names.items() if each != channel} | {state.n: channel}
        if state.snapshot is not None and not (log and goes_on):
            updates.append(Update(channel, state.top, _raw(state.snapshot)))
        return updates

    def event(self, n: int, t: str, frame: Incoming) -> Update | Gap | None:
        """Take an event or a signal of channel `n`; None when it is to be dropped."""
        name = self._names.get(n)
        place = self.by_name.get(name) if name is not None else None
        if name is None or place is None:
            return None
        if frame.s is None or frame.p is None:
            return Update(name, place.last, frame.d, t)
        verdict = applies(place.last, frame.s, frame.p)
        if verdict is None:
            return Gap(name)
        if not verdict:
            return None
        place.last = frame.s
        return Update(name, frame.s, frame.d, t)

    def taken_off(self, told: TakenOff) -> Update | None:
        """Take that the server ended a subscription."""
        name = self._names.get(told.n)
        return None if name is None else self.give_up(name, told.code)

    def give_up(self, channel: str, code: str) -> Update | None:
        """Follow a channel no more, because the client may not."""
        place = self.leave(channel)
        return None if place is None else Update(channel, place.last, _raw({"code": code}), "unsub")


class Inbox:
    """Updates for the one who reads them. Belongs to one event loop."""

    def __init__(self) -> None:
        self._log: deque[Update] = deque()
        self._latest: dict[str, Update] = {}
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self._ended: Exception | None = None

    def put(self, update: Update) -> None:
        """Have an update read."""
        if is_log(update.channel):
            self._log.append(update)
        else:
            self._latest[update.channel] = update
        self._news.set()

    def end(self, error: Exception) -> None:
        """Raise `error` to the reader when everything was read."""
        self._ended = error
        self._news.set()

    async def room(self) -> None:
        """Wait until no more than MAX_UNREAD events are unread."""
        while len(self._log) > MAX_UNREAD:
            self._taken.clear()
            await self._taken.wait()

    async def updates(self) -> AsyncIterator[Update]:
        """Yield updates, events before the newest states; then raise what the inbox was ended with."""
        while True:
            while self._log or self._latest:
                self._taken.set()
                yield self._log.popleft() if self._log else self._latest.pop(next(iter(self._latest)))
            if self._ended is not None:
                raise self._ended
            self._news.clear()
            await self._news.wait()


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
