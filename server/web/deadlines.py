"""One timer for many waits: a deadline a request without a timer a request."""

import asyncio
from types import TracebackType
from typing import Any

SWEEP_SECONDS = 0.25


class Deadlines:
    """Bounds what tasks wait for to the same number of seconds, late by at most a quarter of a second.

    Use as `with deadlines: await ...`; raises `TimeoutError` there. One wait a task at a time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        self._sweeping = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._ends[task] = loop.time() + self._seconds
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - as above
        self._ends.pop(task, None)
        if task in self._expired:
            self._expired.discard(task)
            if task.uncancel() == 0 and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._ends:
            task, end = next(iter(self._ends.items()))  # the oldest: all wait equally long
            if end > now:
                break
            del self._ends[task]
            self._expired.add(task)
            task.cancel()
        self._sweeping = bool(self._ends)
        if self._sweeping:
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)
