"""A log that is read only as fast as a test lets it be."""

import asyncio
from collections.abc import AsyncIterator

from cells.log import subjects
from cells.log.memory import MemoryLog
from cells.log.port import LogUnavailable, Stored


class PacedLog(MemoryLog):
    """Reads in batches of a size; each takes `seconds`, and `breaks` of them fail first."""

    def __init__(self, commits: list[Stored], size: int = 10, seconds: float = 0.0) -> None:
        super().__init__()
        self.commits = commits
        self.size = size
        self.seconds = seconds
        self.breaks = 0
        self.reads = 0
        self.fetched = 0
        self._messages = commits

    def fill(self, commits: list[Stored]) -> None:
        self._messages = commits

    async def read(self, pattern: str, after: int = 0) -> AsyncIterator[list[Stored]]:
        self.reads += 1
        first = self._messages[0].position if self._messages else 1
        start = max(0, after - first + 1)
        for low in range(start, len(self._messages), self.size):
            await asyncio.sleep(self.seconds)
            if self.breaks:
                self.breaks -= 1
                raise LogUnavailable("away")
            batch = self._messages[low : low + self.size]
            self.fetched += len(batch)
            if found := [m for m in batch if subjects.matches(pattern, m.subject)]:
                yield found

    async def tail(self, pattern: str, after: int) -> AsyncIterator[list[Stored]]:
        async for batch in self.read(pattern, after):
            yield batch
        await asyncio.Event().wait()
