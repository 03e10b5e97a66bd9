"""What the projector has just written, told to readers of the log that stand behind it."""

import asyncio
from collections.abc import Iterable, Sequence

from cells.engine.project import Step
from cells.log.port import Mark
from server.store.checkpoints import PostgresStore
from server.store.engine import Connection

Name = tuple[int, str] | str


class Touched:
    """Events that readers wait for: one for each slot and kind of aggregates, one for each kind of any slot.

    `position` is how far every projection is. A wake-up that nothing came of is possible, a missed one is not.
    """

    def __init__(self) -> None:
        self.position = 0
        self._waiting: dict[Name, set[asyncio.Event]] = {}

    def join(self, *names: Name) -> asyncio.Event:
        """Return an event that is set whenever commits of one of these were written; whoever waits clears it."""
        event = asyncio.Event()
        for name in names:
            self._waiting.setdefault(name, set()).add(event)
        return event

    def leave(self, event: asyncio.Event) -> None:
        """Set it no more."""
        for name in [n for n, events in self._waiting.items() if event in events]:
            self._waiting[name].discard(event)
            if not self._waiting[name]:
                del self._waiting[name]

    def reach(self, position: int) -> None:
        """Note how far every projection is, now that a process has looked."""
        self.position = position
        for events in self._waiting.values():
            for event in events:
                event.set()

    def wrote(self, steps: Sequence[Step[Connection]]) -> None:
        """Note what a transaction wrote."""
        self.position = max(step.after.position for step in steps)
        found = {(recorded.slot, recorded.kind) for step in steps for recorded in step.batch}
        names: Iterable[Name] = (*found, *{kind for _, kind in found})
        for name in names:
            for event in self._waiting.get(name, ()):
                event.set()


class TellingStore:
    """A store that tells what it wrote, once it is written."""

    def __init__(self, store: PostgresStore, touched: Touched) -> None:
        self._store = store
        self._touched = touched

    async def places(self, names: Sequence[str]) -> dict[str, Mark]:
        """Return every projection's checkpoint."""
        found = await self._store.places(names)
        self._touched.reach(min((mark.position for mark in found.values()), default=0))
        return found

    async def write(self, steps: Sequence[Step[Connection]]) -> None:
        """Apply all steps, then tell."""
        await self._store.write(steps)
        self._touched.wrote(steps)
