"""Who is where, over all hubs of the cell: each tells its own part, and a part that is not repeated ends."""

from collections.abc import Iterator
from typing import Final

import msgspec

from realtime.events import Presence

LIFE_MS: Final = 3_000
# People told of a channel; a conversation has two sides.
MAX_PEOPLE: Final = 64
# Channels told in one message, to stay far below NATS' largest.
CHANNELS_PER_MESSAGE: Final = 2_000


class Here(msgspec.Struct, frozen=True):
    """Who is in a channel: how many sockets, and which people where that is told."""

    count: int = 0
    people: frozenset[str] = frozenset()


class _Part(msgspec.Struct):
    here: Here
    at: int


class Board:
    """The parts of the other hubs. Pure; `now` is ms of a clock that only goes forward."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._parts: dict[str, dict[str, _Part]] = {}
        self._nodes: dict[str, int] = {}

    @property
    def alone(self) -> bool:
        """Whether no other hub was heard of lately."""
        return not self._nodes

    def take(self, told: Presence, now: int) -> list[str]:
        """Take another hub's part and answer the channels in which something may have changed."""
        if told.node == self._node:
            return []
        self._nodes[told.node] = now
        changed: list[str] = []
        for key in told.counts.keys() | told.people.keys():
            here = Here(told.counts.get(key, 0), frozenset(told.people.get(key, ())))
            parts = self._parts.setdefault(key, {})
            former = parts.get(told.node)
            if former is None or former.here != here:
                changed.append(key)
            if here.count:
                parts[told.node] = _Part(here, now)
            else:
                parts.pop(told.node, None)
            if not parts:
                del self._parts[key]
        return changed

    def expire(self, now: int) -> list[str]:
        """Forget the parts that were not repeated and answer their channels."""
        self._nodes = {node: at for node, at in self._nodes.items() if now - at < LIFE_MS}
        changed: list[str] = []
        for key, parts in list(self._parts.items()):
            for node in [node for node, part in parts.items() if now - part.at >= LIFE_MS]:
                del parts[node]
                changed.append(key)
            if not parts:
                del self._parts[key]
        return changed

    def total(self, key: str, own: Here) -> Here:
        """Answer who is in a channel, with this hub's own part."""
        count, people = own.count, own.people
        for part in self._parts.get(key, {}).values():
            count += part.here.count
            people |= part.here.people
        return Here(count, people)


def told(node: str, parts: dict[str, Here]) -> Iterator[Presence]:
    """Answer the messages that tell a hub's part; always at least one, so that the hub itself is known."""
    keys = list(parts)
    for start in range(0, max(1, len(keys)), CHANNELS_PER_MESSAGE):
        chosen = keys[start : start + CHANNELS_PER_MESSAGE]
        yield Presence(
            node,
            {key: parts[key].count for key in chosen},
            {key: tuple(sorted(parts[key].people)) for key in chosen if parts[key].people},
        )
