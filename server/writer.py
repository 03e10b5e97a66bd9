"""The `writer` process: leads the cell's hot aggregates, or stands by while another one does."""

import asyncio
import contextlib
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import structlog
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from redis.asyncio import Redis

from cells.config import CellConfig
from cells.engine.desk import Outbox
from cells.engine.leadership import Leadership
from cells.kernel.clock import Clock, SystemClock
from cells.kernel.errors import Rejected
from cells.log.jetstream import JetStreamLog
from cells.log.port import LogUnavailable
from cells.process import Process
from cells.tasks import end
from cells.telemetry.instruments import Metrics
from cells.telemetry.publish import publishing
from server import leading
from server.chat.writing import ChatFamily
from server.flash_sale.writing import SaleFamily
from server.valkey import connect as connect_valkey

_log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.25
CHECK_SECONDS = 0.5

FAMILIES: leading.Families = (SaleFamily, ChatFamily)


class Term:
    """One term of leading: from the vacancy to being superseded or told to stop."""

    def __init__(
        self,
        config: CellConfig,
        log: JetStreamLog,
        valkey: Redis,
        clock: Clock,
        leadership: Leadership,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._log = log
        self._valkey = valkey
        self._clock = clock
        self._leadership = leadership
        self._metrics = metrics

    async def lead(self, process: Process) -> None:
        """Lead until superseded or stopping. Raises `LogUnavailable`, `Rejected`, `Broken`."""
        bus = self._log.client
        here = await self._leadership.take(self._log, self._clock)
        lost = self._leadership.lost
        outbox = Outbox(bus)
        term = leading.Term(
            self._config,
            self._log,
            self._valkey,
            self._clock,
            outbox,
            here.term,
            process.name,
            lost.set,
            self._metrics,
        )
        families = [family(term) for family in FAMILIES]
        work = [outbox.run(), *(job for family in families for job in family.background())]
        tasks = [asyncio.create_task(job) for job in work]
        listening: list[Subscription] = []
        try:
            loaded = {family.name: await family.load() for family in families}
            for family in families:
                for subject, listener in family.listeners(here.subject).items():
                    listening.append(await bus.subscribe(subject, cb=listener))
            await self._leadership.announce()
            _log.info("leading", term=here.term, **loaded)
            await _serve(process, self._log, lost)
        finally:
            if lost.is_set():
                for family in families:
                    family.abdicate()
            for subscription in listening:
                with contextlib.suppress(NatsError, OSError):
                    await subscription.unsubscribe()
            await self._leadership.resign()
            for family in families:
                await family.stop()
            await outbox.flush()
            await end(tasks)


async def _serve(process: Process, log: JetStreamLog, lost: asyncio.Event) -> None:
    """Report how the log stands, every time it changes, until superseded or stopping."""
    shown: str | None = ""
    while not lost.is_set() and not process.stopping.is_set():
        if log.fenced != shown:
            shown = log.fenced
            process.report("fenced" if shown else "serving", shown or "")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                await _first(lost, process.stopping)


async def _first(*awaited: asyncio.Event | asyncio.Task[None]) -> None:
    """Return when the first of them is set or done."""
    waits = {e: asyncio.create_task(e.wait()) for e in awaited if isinstance(e, asyncio.Event)}
    try:
        tasks = [e for e in awaited if isinstance(e, asyncio.Task)]
        await asyncio.wait([*waits.values(), *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits.values():
            wait.cancel()


async def main(config: CellConfig, process: Process) -> None:
    """Lead, or stand by, until told to stop. A log that cannot be led is tried again."""
    clock, metrics = SystemClock(), Metrics()
    valkey = connect_valkey(config.redis_url)
    log = await JetStreamLog.open(config.nats_url, Path(config.data) / "marks", process.name)
    leadership = Leadership(log.client, config.cell, process.name)
    try:
        await leadership.start()
        async with publishing(metrics, log.client, config.cell, process.name, clock):
            while not process.stopping.is_set():
                await _until(leadership.wait_for_vacancy(lambda: process.report("standby")), process.stopping)
                if process.stopping.is_set():
                    return
                try:
                    await Term(config, log, valkey, clock, leadership, metrics).lead(process)
                except (LogUnavailable, Rejected) as error:
                    if log.fenced:
                        process.report("fenced", log.fenced)
                    _log.warning("cannot lead", reason=str(error))
                    await _until(asyncio.sleep(RETRY_SECONDS), process.stopping)
    finally:
        await valkey.aclose()
        await log.close()


async def _until(work: Coroutine[Any, Any, None], stopping: asyncio.Event) -> None:
    """Do some work, but no longer than until told to stop."""
    doing = asyncio.create_task(work)
    try:
        await _first(stopping, doing)
        if doing.done():
            doing.result()
    finally:
        doing.cancel()
