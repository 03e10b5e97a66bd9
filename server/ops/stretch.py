"""Stretches of the log and single commits, read from the log itself."""

import asyncio
import contextlib
from typing import Any, Final

from cells.kernel import envelope
from cells.kernel.errors import Rejected
from cells.log import subjects
from cells.log.port import Log, LogInfo, Stored
from server.ops import words
from server.ops.answers import checked, clamped
from server.ops.asks import AskLines
from server.ops.lines import described
from server.ops.reading import Registries, opened
from server.ops.redaction import shown

LOOK_SECONDS: Final = 0.8
"""For as long it is looked for lines; then what was found is answered, and how far it was looked."""

FIRST_WINDOW: Final = 256
PREFIX: Final = "log."


async def lines(log: Log, registries: Registries, ask: AskLines) -> words.Lines:
    """Return lines behind or before a position, or the newest. Raises `Rejected` (bad_request), `LogUnavailable`."""
    checked(ask.subject, ask.type)
    info = await log.info() or LogInfo(1, 0, 0, "")
    search = _Search(log, registries, _pattern(ask.subject), ask.type, clamped(ask.limit))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            if ask.after is not None:
                await search.forward(max(ask.after, info.first - 1), info.last)
            else:
                before = info.last + 1 if ask.before is None else min(ask.before, info.last + 1)
                await search.backward(before, info.first)
    return words.Lines(search.found, info.first, info.last, search.start, search.end)


async def commit(log: Log, registries: Registries, position: int) -> words.CommitDetail:
    """Return a commit with all of its events, without what is secret. Raises `Rejected` (not_found), `LogUnavailable`."""
    stored = await log.at(position) if position > 0 else None
    if stored is None:
        raise Rejected("not_found", "The log has no commit at this position.")
    found = opened(registries, stored)
    events = [
        words.EventRow(
            entry.name,
            entry.version,
            shown(found.kind, entry.name, entry.event) if entry.event is not None else {},
        )
        for entry in found.entries
    ]
    return words.CommitDetail(
        position,
        found.at,
        found.subject,
        found.version,
        found.prev.hex(),
        envelope.digest(stored.body).hex(),
        len(stored.body),
        events,
    )


def _pattern(subject: str) -> str:
    """Return the pattern of the log that is meant. Raises `Rejected` (bad_request)."""
    if not subject:
        return subjects.EVERYTHING
    pattern = subject if subject.startswith(PREFIX) else PREFIX + subject
    tokens = pattern.split(".")
    if not all(tokens) or ">" in tokens[:-1] or any(each.isspace() for each in pattern):
        raise Rejected("bad_request", "This is no pattern of subjects, which are log.<slot>.<kind>.<key>.")
    return pattern


class _Search:
    """Collects lines until there are enough. All between `start` and `end` was looked at, both included."""

    def __init__(self, log: Log, registries: Registries, pattern: str, type_: str, limit: int) -> None:
        self._log = log
        self._registries = registries
        self._pattern = pattern
        self._type = type_
        self._limit = limit
        self.found: list[words.Line] = []
        self.start, self.end = 0, 0

    async def forward(self, after: int, last: int) -> None:
        """Look from a position on; whole commits only, until there are enough lines."""
        self.start, self.end = after + 1, after
        async with self._reading(after) as batches:
            async for batch in batches:
                for stored in batch:
                    self.found += self._lines(stored)
                    self.end = stored.position
                    if len(self.found) >= self._limit:
                        return
        self.end = max(last, self.end)

    async def backward(self, before: int, first: int) -> None:
        """Look back from a position, in stretches that grow while there is little in them."""
        self.start, self.end = before, before - 1
        window = FIRST_WINDOW
        while self.start > first and len(self.found) < self._limit:
            start = max(first, self.start - window)
            kept = await self._stretch(start - 1, self.start - 1)
            window *= 2
            while kept and len(self.found) < self._limit:
                position, found = kept.pop()
                self.found = found + self.found
                self.start = position
            if len(self.found) < self._limit:
                self.start = start

    async def _stretch(self, after: int, last: int) -> list[tuple[int, list[words.Line]]]:
        """Return the lines of commits by position."""
        kept = []
        async with self._reading(after) as batches:
            async for batch in batches:
                inside = [each for each in batch if each.position <= last]
                kept += [(each.position, self._lines(each)) for each in inside]
                if len(inside) < len(batch):
                    break
        return kept

    def _lines(self, stored: Stored) -> list[words.Line]:
        # The name of an event stands in the commit as it is: most commits need not be opened to be passed over.
        if self._type.encode() not in stored.body:
            return []
        found = described(opened(self._registries, stored))
        return [line for line in found if not self._type or line.type == self._type]

    def _reading(self, after: int) -> contextlib.aclosing[Any]:
        # The port promises an async iterator; both adapters are generators, which have to be closed.
        found: Any = self._log.read(self._pattern, after)
        return contextlib.aclosing(found)
