"""Telling the cell, once a second, what this process has counted."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import psutil
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from cells.kernel.clock import Clock
from cells.tasks import end
from cells.telemetry import sample
from cells.telemetry.instruments import Metrics
from cells.telemetry.sample import Sample

_log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 1.0


def subject(cell: str, process: str) -> str:
    """Return where a process tells; `*` for all."""
    return f"cell.{cell}.telemetry.{process}"


class Sampler:
    """Takes the samples of this process, and reads its memory and processor time."""

    def __init__(self, metrics: Metrics, process: str, clock: Clock) -> None:
        self._metrics = metrics
        self._process = process
        self._clock = clock
        self._since = clock.now()
        self._taken = 0
        label = f'process="{process}"'
        metrics.gauge("titan_process_rss_bytes", _resident(psutil.Process()), label)
        metrics.gauge("titan_process_cpu_seconds_total", time.process_time, label)

    def sample(self) -> Sample:
        """Return what was counted until now."""
        self._taken += 1
        now = self._clock.now()
        return sample.take(self._metrics, self._process, os.getpid(), self._since, now, self._taken)

    async def publish(self, bus: Client, cell: str) -> None:
        """Publish a sample every second, for ever. One that cannot be sent is lost: the next one has it all."""
        where = subject(cell, self._process)
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                raw = sample.encode(self.sample())
            except Exception:  # noqa: BLE001 - a reading that fails must not end what it reads of
                _log.exception("no sample")
            else:
                with contextlib.suppress(NatsError, OSError):
                    await bus.publish(where, raw)
            due = max(due + EVERY_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())


async def publish(metrics: Metrics, bus: Client, cell: str, process: str, clock: Clock) -> None:
    """Publish the samples of this process, for ever."""
    await Sampler(metrics, process, clock).publish(bus, cell)


@contextlib.asynccontextmanager
async def publishing(
    metrics: Metrics, bus: Client, cell: str, process: str, clock: Clock
) -> AsyncIterator[None]:
    """Publish the samples of this process for as long as the block runs."""
    telling = asyncio.create_task(publish(metrics, bus, cell, process, clock))
    try:
        yield
    finally:
        await end([telling])


def _resident(process: psutil.Process) -> Callable[[], float]:
    return lambda: float(process.memory_info().rss)
