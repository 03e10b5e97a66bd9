"""The projector of a cell: keeps the read models up with the log and brings what was begun to its end."""

import asyncio
import contextlib
import math
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog
from nats.errors import Error as NatsError

from cells.config import CellConfig
from cells.engine.project import Health, Projector
from cells.kernel.clock import Clock, SystemClock
from cells.kernel.codec import UnknownEvent
from cells.log import marks
from cells.log.chain import Broken
from cells.log.jetstream import JetStreamLog
from cells.log.port import LogUnavailable, Mark
from cells.process import Process, State
from cells.telemetry.instruments import Metrics
from cells.telemetry.publish import publish
from server.checkout.recovery import run_recovery
from server.feed.projection import FeedProjection
from server.feed.teller import Teller
from server.flash_sale.adapters import WriterClient
from server.notify.touched import TellingStore, Touched
from server.notify.worker import notify
from server.payments.adapters import SandboxProvider
from server.projections import projections
from server.store import engine, waiting
from server.store.checkpoints import PostgresStore
from server.store.projection import Projection

_log = structlog.get_logger(__name__)

CONNECTIONS = 4
WATCH_SECONDS = 0.5
OPEN_SECONDS = 0.5
RECOVERY_SECONDS = 5.0

# A projector that waits for Postgres is not ready, one that was stopped by what the log holds needs a person.
_STATES: dict[Health, State] = {
    "serving": "serving",
    "waiting": "starting",
    "stopped": "fenced",
    "fenced": "fenced",
}


async def main(config: CellConfig, process: Process) -> None:
    """Run until the process is to stop. What fails for good ends the process, and the supervisor starts it anew."""
    log = await _open(config, process)
    if log is None:
        return
    health, started, clock = _HealthReport(process, log), asyncio.Event(), SystemClock()
    listed, touched = projections(), Touched()
    projector = Projector(
        log,
        TellingStore(PostgresStore(), touched),
        listed,
        report=health.projector,
        advanced=_Announcer(log, config.cell, listed).advanced,
        note=_Noter(log, Path(config.data) / "marks").note,
    )
    metrics = Metrics()
    _measure(projector, metrics, clock)
    try:
        await _until(
            process.stopping,
            engine.keep(config.database_url, connections=CONNECTIONS, started=started),
            _project(projector, started),
            health.watch(),
            _recover(log, config.cell, process.stopping),
            notify(log, config, clock, touched),
            publish(metrics, log.client, config.cell, process.name, clock),
        )
    finally:
        await log.close()


async def _open(config: CellConfig, process: Process) -> JetStreamLog | None:
    while not process.stopping.is_set():
        try:
            return await JetStreamLog.open(config.nats_url, Path(config.data) / "marks", process.name)
        except (LogUnavailable, NatsError, OSError) as error:
            process.report("starting", f"the log does not answer: {error}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.stopping.wait(), OPEN_SECONDS)
    return None


def _measure(projector: Projector[engine.Connection], metrics: Metrics, clock: Clock) -> None:
    def lag() -> float:
        since = projector.behind_since
        return 0.0 if since is None else max(0.0, (clock.now() - since) / 1000)

    def position() -> float:
        return math.nan if projector.position is None else projector.position

    metrics.gauge("titan_projection_position", position)
    metrics.gauge("titan_projection_lag_seconds", lag)


async def _project(projector: Projector[engine.Connection], started: asyncio.Event) -> None:
    await started.wait()
    await projector.run()


async def _recover(log: JetStreamLog, cell: str, stopping: asyncio.Event) -> None:
    """Finish the payments that no api finished. What the log holds that cannot be read is tried again, aloud."""
    clock = SystemClock()
    sales = WriterClient(log.client, cell, clock)
    await sales.start()
    while not stopping.is_set():
        try:
            await run_recovery(log, sales, SandboxProvider(log, clock), clock, stopping)
        except (Broken, UnknownEvent, msgspec.MsgspecError) as error:
            _log.error("payments cannot be recovered", reason=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), RECOVERY_SECONDS)


async def _until(stopping: asyncio.Event, *running: Coroutine[Any, Any, None]) -> None:
    """Run all until one fails, whose error is raised, or `stopping` is set; then cancel the rest."""
    tasks = [asyncio.create_task(work) for work in (*running, _set(stopping))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _set(event: asyncio.Event) -> None:
    await event.wait()


class _HealthReport:
    """Puts together how the projector and its log are."""

    def __init__(self, process: Process, log: JetStreamLog) -> None:
        self._process = process
        self._log = log
        self._health: tuple[Health, str] = ("waiting", "waiting for postgres")

    def projector(self, health: Health, detail: str) -> None:
        """Take a report of the projector."""
        self._health = (health, detail)
        self._tell()

    async def watch(self) -> None:
        """Notice that the log fences itself, which no call of the projector says."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._tell()

    def _tell(self) -> None:
        health, detail = self._health
        state: State = "fenced" if self._log.fenced else _STATES[health]
        detail = self._log.fenced or detail
        if not self._process.stopping.is_set() and (state, detail) != (
            self._process.state,
            self._process.detail,
        ):
            self._process.report(state, detail)


class _Announcer:
    """Tells the other processes how far the projections are, and accounts what has happened to them."""

    def __init__(self, log: JetStreamLog, cell: str, listed: Sequence[Projection]) -> None:
        self._log = log
        self._subject = waiting.subject(cell)
        self._tellers = [Teller(log.client, cell, p) for p in listed if isinstance(p, FeedProjection)]

    async def advanced(self, position: int) -> None:
        """Publish; whoever misses it looks at the checkpoint, or finds the gap."""
        for teller in self._tellers:
            await teller.tell()
        with contextlib.suppress(NatsError, OSError):
            await self._log.client.publish(self._subject, waiting.encode(position))


class _Noter:
    """Hands a checkpoint that contradicts the log to all processes of the cell."""

    def __init__(self, log: JetStreamLog, folder: Path) -> None:
        self._log = log
        self._folder = folder

    async def note(self, mark: Mark) -> None:
        """Fence this process, and through the marks the others, when the checkpoint is of this very log.

        A checkpoint of another log may as well come from another cell's database, and fences nobody else.
        """
        await self._log.note(mark)
        if mark.epoch == self._log.epoch:
            _log.error("the log has lost what was projected", position=mark.position)
            await asyncio.to_thread(marks.write, self._folder / "projection.json", mark)
