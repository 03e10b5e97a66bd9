"""What one session follows and may follow, and what its commands ask of the shell. PURE."""

from typing import Final, assert_never

from realtime.channels import ChannelName, channel_name
from realtime.effects import (
    Fetch,
    Identity,
    Mark,
    NotJoined,
    Request,
    Say,
    ShowTyping,
    Wanted,
)
from realtime.protocol import Ack, ChannelState, History, Msg, Read, Resume, Typing

MAX_SUBSCRIPTIONS: Final = 100

RequestPayload = Msg | History | Ack | Read | Typing


class Subscriptions:
    """Channels by name and by the hub's number, and how many more were asked for."""

    __slots__ = ("_asked", "_names", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: dict[int, ChannelName] = {}
        self._asked = 0

    def has_room(self, ch: str) -> bool:
        """Tell whether the channel may be asked for."""
        return ch in self._numbers or len(self._numbers) + self._asked < MAX_SUBSCRIPTIONS

    def ask(self, count: int) -> None:
        """Take that channels were asked for, to be `answered`."""
        self._asked += count

    def answered(self, count: int) -> None:
        """Take that it is known what became of them."""
        self._asked -= count

    def name(self, n: int) -> ChannelName | None:
        """Answer the channel with a number, if it is followed."""
        return self._names.get(n)

    def enter(self, name: ChannelName, n: int) -> None:
        """Follow a channel; a former number of it counts no more."""
        former = self._numbers.get(str(name))
        if former is not None:
            self._names.pop(former, None)
        self._numbers[str(name)] = n
        self._names[n] = name

    def leave(self, n: int) -> bool:
        """Follow a channel no more; False when it was not followed."""
        name = self._names.pop(n, None)
        if name is None:
            return False
        self._numbers.pop(str(name), None)
        return True


def joinable(ch: str, identity: Identity | None) -> ChannelName | NotJoined:
    """Answer the channel that `ch` means, or why it may not even be asked for."""
    name = channel_name(ch, None if identity is None else identity.sub)
    if name is None:
        return NotJoined("not_found")
    if identity is None and not name.family.anonymous:
        return NotJoined("unauthenticated")
    if identity is not None and name.family.roles and identity.role not in name.family.roles:
        return NotJoined("forbidden")
    return name


def resumable(resume: tuple[Resume, ...], identity: Identity | None) -> tuple[Wanted, ...]:
    """Answer the channels of a hello that may be asked for, each once."""
    wanted: dict[str, Wanted] = {}
    for each in resume:
        name = joinable(each.ch, identity)
        if isinstance(name, ChannelName):
            wanted[each.ch] = Wanted(name, each.epoch, each.since)
    return tuple(wanted.values())


def request_of(payload: RequestPayload, key: str | None, name: ChannelName, ref: int) -> Request | None:
    """Answer the request that a command makes; None for a message without a usable client key."""
    match payload:
        case Msg(text=text):
            return None if key is None else Say(ref, name, key, text)
        case History(before=before, limit=limit):
            return Fetch(ref, name, before, limit)
        case Ack(s=s):
            return Mark(ref, name, s, read=False)
        case Read(s=s):
            return Mark(ref, name, s, read=True)
        case Typing():
            return ShowTyping(ref, name)
        case _:
            assert_never(payload)


def place_of(wanted: Wanted, state: ChannelState) -> tuple[str, int]:
    """Answer where the client is after the reply: what it missed is still to come."""
    goes_on = state.snapshot is None and not state.reset and wanted.epoch == state.epoch
    return state.epoch, wanted.since if goes_on and wanted.since is not None else state.top
