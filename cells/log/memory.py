"""The log in memory: for tests of everything that stands on a log, with the faults a real one has."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from enum import Enum

from cells.log import subjects
from cells.log.port import Appended, Conflict, LogInfo, Mark, Outcome, Refused, Stored, Unknown


class Fault(Enum):
    """What befalls one append."""

    LOST = "the message never arrives"
    ACK_LOST = "the message is stored, the answer is lost"
    REFUSED = "the log says no"


class MemoryLog:
    """Keeps every guarantee of the port but durability. `faults` befall the next appends, in order."""

    def __init__(self, epoch: str = "memory") -> None:
        self._messages: list[Stored] = []
        self._heads: dict[str, int] = {}
        self._grown = asyncio.Condition()
        self._epoch = epoch
        self.faults: deque[Fault | None] = deque()
        self.fenced: str | None = None

    async def append(self, subject: str, body: bytes, expected: int, timeout: float = 2.0) -> Outcome:  # noqa: ARG002 - the port's signature
        """Store a commit iff the subject's last message is at `expected`."""
        if self.fenced:
            return Refused(self.fenced, fenced=True)
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.LOST:
            return Unknown("no answer")
        if fault is Fault.REFUSED:
            return Refused("refused by the log")
        if self._heads.get(subject, 0) != expected:
            return Conflict()
        async with self._grown:
            position = len(self._messages) + 1
            self._messages.append(Stored(position, subject, body))
            self._heads[subject] = position
            self._grown.notify_all()
        return Unknown("no answer") if fault is Fault.ACK_LOST else Appended(position)

    async def settle(self, subject: str, body: bytes, expected: int) -> Outcome:
        """Read back what became of an append that was `Unknown`."""
        following = next((m for m in self._messages[expected:] if m.subject == subject), None)
        if following is None:
            return Refused("nothing was stored")
        return Appended(following.position) if following.body == body else Conflict()

    async def read(self, pattern: str, after: int = 0) -> AsyncIterator[list[Stored]]:
        """Yield one batch with all that is stored now."""
        batch = [m for m in self._messages[after:] if subjects.matches(pattern, m.subject)]
        if batch:
            yield batch

    async def tail(self, pattern: str, after: int) -> AsyncIterator[list[Stored]]:
        """Yield batches for ever."""
        seen = after
        while True:
            async with self._grown:
                await self._grown.wait_for(lambda: len(self._messages) > seen)  # noqa: B023 - evaluated in this turn
                batch = [m for m in self._messages[seen:] if subjects.matches(pattern, m.subject)]
                seen = len(self._messages)
            if batch:
                yield batch

    async def last(self, subject: str) -> Stored | None:
        """Return the newest message of a subject."""
        position = self._heads.get(subject)
        return self._messages[position - 1] if position else None

    async def at(self, position: int) -> Stored | None:
        """Return the message at a position."""
        return self._messages[position - 1] if 0 < position <= len(self._messages) else None

    async def info(self) -> LogInfo:
        """Return the extent."""
        return LogInfo(1, len(self._messages), len(self._messages), self._epoch)

    async def subjects(self, pattern: str) -> dict[str, int]:
        """Return all subjects that match, with their number of messages."""
        return dict(Counter(m.subject for m in self._messages if subjects.matches(pattern, m.subject)))

    def stored(self, pattern: str) -> list[Stored]:
        """Return all that is stored now under a filter."""
        return [m for m in self._messages if subjects.matches(pattern, m.subject)]

    def note(self, mark: Mark) -> None:
        """Take a mark into account: a mark beyond the end fences, as it does in the real log."""
        if mark.position > len(self._messages):
            self.fenced = f"the log ends at {len(self._messages)}, but had reached {mark.position}"
