"""How far a reader's work is done, kept in the log. Only the newest commit of a cursor is ever read."""

import time
from collections.abc import Callable

import msgspec

from cells.engine.commit import commit
from cells.kernel import envelope
from cells.kernel.clock import Clock
from cells.kernel.codec import EventKind, Registry
from cells.kernel.errors import Rejected
from cells.log import subjects
from cells.log.chain import Chain
from cells.log.port import Appended, Log
from server.notify.window import Window

KIND = "cur"

SAVE_SECONDS = 5.0
SAVE_WORK = 256
SAVE_POSITIONS = 20_000
DEADLINE_SECONDS = 5.0


class CursorMoved(msgspec.Struct, frozen=True, array_like=True):
    """All work of the log up to `position` is done, and that of the commits at `beyond`."""

    position: int
    beyond: tuple[int, ...] = ()


REGISTRY = Registry([EventKind("CursorMoved", CursorMoved)])


class Cursor:
    """One reader's place. What is done and not saved is done again after a crash: the last 256 pieces or 5 s of it.

    Commits are at most as many as the work is, so a cursor never outgrows what it counts.
    """

    def __init__(
        self,
        log: Log,
        slot: int,
        key: str,
        clock: Clock,
        *,
        save_seconds: float = SAVE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._subject = subjects.subject(slot, KIND, key)
        self._clock = clock
        self._seconds = save_seconds
        self._monotonic = monotonic
        self._chain = Chain()
        self._saved = CursorMoved(0)
        self._work = 0
        self._at = monotonic()

    async def load(self, start: int) -> CursorMoved:
        """Read where it was saved last; `start` when it never was. Raises `LogUnavailable`, `Broken`."""
        stored = await self._log.last(self._subject)
        self._saved = CursorMoved(start)
        if stored is not None:
            header = envelope.peek(stored.body)
            self._chain = Chain(header.version, stored.position, envelope.digest(stored.body))
            self._saved = envelope.decode(REGISTRY, stored.body).events[-1]
        return self._saved

    def worked(self) -> None:
        """Note that a piece of work is done."""
        self._work += 1

    def due(self, window: Window) -> bool:
        """Tell whether it is time to save."""
        if window.reached - self._saved.position >= SAVE_POSITIONS:
            return True
        return self._work >= SAVE_WORK or (self._work > 0 and self._monotonic() - self._at >= self._seconds)

    async def save(self, window: Window) -> None:
        """Save, if there is anything new. Raises `Rejected`: another reader moved it, or the log does not take it."""
        moved = CursorMoved(window.reached, window.beyond())
        self._work, self._at = 0, self._monotonic()
        if moved == self._saved:
            return
        chain = self._chain
        body = envelope.encode(REGISTRY, chain.version + 1, self._clock.now(), chain.hash, [moved])
        outcome = await commit(self._log, self._subject, body, chain.position, DEADLINE_SECONDS)
        if not isinstance(outcome, Appended):
            raise Rejected("unavailable", f"the cursor {self._subject} was not saved: {outcome}")
        chain.advance(outcome.position, body)
        self._saved = moved
