"""Appending until the outcome is definite."""

import asyncio

from cells.log.port import Appended, Conflict, Log, Outcome, Refused, Unknown

PAUSE_SECONDS = 0.05


async def commit(
    log: Log, subject: str, body: bytes, expected: int, deadline_seconds: float | None
) -> Outcome:
    """Append, and resolve an unknown outcome by reading back, never by guessing.

    Returns `Unknown` only when the deadline passed first; with `None` it asks for as long as it takes.
    A commit that was found missing is sent again: compare-and-set makes that safe even when the first
    sending lands later, for then the second conflicts, and reading back finds the first.
    """
    loop = asyncio.get_running_loop()
    end = None if deadline_seconds is None else loop.time() + deadline_seconds
    outcome = await log.append(subject, body, expected)
    uncertain = False
    while True:
        if isinstance(outcome, Appended) or (isinstance(outcome, Conflict | Refused) and not uncertain):
            return outcome
        uncertain = True
        if end is not None and loop.time() >= end:
            return Unknown("the log did not answer in time")
        settled = await log.settle(subject, body, expected)
        match settled:
            case Appended() | Conflict():
                return settled
            case Unknown():
                await asyncio.sleep(PAUSE_SECONDS)
            case Refused():
                outcome = await log.append(subject, body, expected)
                if isinstance(outcome, Refused):
                    if outcome.fenced:
                        return Unknown(outcome.reason)
                    await asyncio.sleep(PAUSE_SECONDS)
