"""The board: what an operator sees of a cell, folded from its log alone. PURE.

The same commits in the same order give the same board, however they are batched and wherever the fold was
interrupted by a snapshot. That is why a replay is as true as what was live.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import msgspec

from cells.kernel import envelope
from cells.kernel.codec import UnknownEvent
from cells.log.port import Stored
from server.chat import model as chat
from server.flash_sale import model as flash_sale
from server.ops import fold_chat, fold_sales
from server.ops.reading import Registries, opened
from server.ops.state import LINES, SECONDS, Kept, Place, Second, State
from server.payments import model as payments

FOLDS: Final[Mapping[str, Mapping[type[Any], Any]]] = {
    flash_sale.KIND: fold_sales.SALES,
    payments.KIND: fold_sales.PAYMENTS,
    chat.ROOM: fold_chat.ROOM,
    chat.CONVERSATION: fold_chat.CONVERSATION,
}
"""By kind of aggregate and type of event, what changes the board. Every other event is only shown as a line."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode
# A kind that is not known is a KeyError, a subject that is none of the log's a ValueError.
_UNREADABLE = (UnknownEvent, msgspec.MsgspecError, UnicodeDecodeError, ValueError, KeyError)
# No time that a clock shows; what claims to be later is as good as none.
_LATEST: Final = 1 << 52


def is_time(at: int) -> bool:
    """Tell whether a commit's time is one that a clock shows. The board leaves any other out."""
    return 0 < at < _LATEST


class Board:
    """A cell as of `position`. What this release cannot read is counted, shown as a line, and changes nothing."""

    def __init__(self, registries: Registries, state: State | None = None) -> None:
        """Begin with nothing, or go on from a state, which becomes the board's own."""
        self.state = state or State()
        self._registries = registries
        self._second = -1
        self._place = Place(self.state, Second())

    @classmethod
    def restore(cls, registries: Registries, snapshot: bytes) -> Self:
        """Return the board that a snapshot was taken of."""
        return cls(registries, _decode(snapshot))

    def snapshot(self) -> bytes:
        """Return all of the board."""
        return _encode(self.state)

    @property
    def position(self) -> int:
        """The newest commit in it."""
        return self.state.position

    @property
    def at(self) -> int:
        """The latest time of a commit in it; 0 when there is none."""
        return self.state.at

    def apply(self, batch: Sequence[Stored]) -> None:
        """Fold commits, in the order of the log. Those that are in the board already are left out."""
        state, place, registries = self.state, self._place, self._registries
        if batch and not state.first:
            state.first = batch[0].position
            state.position = state.first - 1
        position, at, second, counted = state.position, state.at, self._second, 0
        fresh: list[tuple[Stored, int]] = []
        for stored in batch:
            if stored.position != position + 1 and not self._follows(position, stored):
                continue
            position = stored.position
            try:
                _, _, kind, place.key = stored.subject.split(".", 3)
                commit = envelope.decode(registries[kind], stored.body)
                events, time = commit.events, commit.at
            except _UNREADABLE:
                kind, time, events = self._unread(stored)
            if not 0 < time < _LATEST:
                time = at
            elif time > at:
                at = time
            if time // 1000 != second:
                second = time // 1000
                self._turn(second)
            place.second.commits += 1
            place.position = position
            count = len(events)
            counted += count
            fresh.append((stored, count))
            folds = FOLDS.get(kind)
            if folds is not None:
                _fold(folds, place, events)
        state.position, state.at, self._second = position, at, second
        state.commits += len(fresh)
        state.events += counted
        self._keep(fresh)

    def _follows(self, position: int, stored: Stored) -> bool:
        """Tell whether a commit that is not the next one is a later one, and count what lies between."""
        if stored.position <= position:
            return False
        self.state.missing += stored.position - position - 1
        return True

    def _unread(self, stored: Stored) -> tuple[str, int, list[Any]]:
        """Return kind, time and events of a commit that has something in it that is not known here."""
        found = opened(self._registries, stored)
        self.state.unknown += found.unknown
        return found.kind, found.at, [entry.event for entry in found.entries]

    def _keep(self, fresh: list[tuple[Stored, int]]) -> None:
        """Keep the newest commits: as few as have the newest events in them."""
        kept: list[Kept] = []
        events = 0
        for stored, count in reversed(fresh):
            kept.append(Kept(stored.position, stored.subject, stored.body, count))
            events += count or 1
            if events >= LINES:
                break
        for older in reversed(self.state.newest):
            if events >= LINES:
                break
            kept.append(older)
            events += older.events or 1
        self.state.newest = kept[::-1]

    def _turn(self, second: int) -> None:
        """Go to another second. The seconds that were first counted in leave."""
        seconds = self.state.seconds
        found = seconds.get(second)
        if found is None:
            found = seconds[second] = Second()
            if len(seconds) > 2 * SECONDS:
                for oldest in list(seconds)[:-SECONDS]:
                    del seconds[oldest]
        self._place.second = found


def _fold(folds: Mapping[type[Any], Any], place: Place, events: list[Any]) -> None:
    for place.index, event in enumerate(events):
        fold = folds.get(type(event))
        if fold is not None:
            fold(place, event)
