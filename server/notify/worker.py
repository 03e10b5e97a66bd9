"""What the projector process sends out: webhooks of merchants and pushes to people."""

import asyncio

import structlog

from cells.config import CellConfig
from cells.kernel.clock import Clock
from cells.kernel.codec import UnknownEvent
from cells.log.chain import Broken
from cells.log.port import Log
from cells.tasks import end
from server.notify.egress import Egress, SystemResolver
from server.notify.touched import Touched
from server.webhooks.facts import facts
from server.webhooks.runner import Delivering
from server.webhooks.signing import Secrets
from server.webhooks.worker import Worker as Webhooks

_log = structlog.get_logger(__name__)

REQUESTS_AT_ONCE = 256
READS_AT_ONCE = 4
AGAIN_SECONDS = 5.0


async def notify(log: Log, config: CellConfig, clock: Clock, touched: Touched) -> None:
    """Send until cancelled. A log that cannot be read is tried again, aloud: the read models do not wait for it."""
    resolver = SystemResolver()
    egress = Egress(resolver, allow_loopback=config.webhooks_allow_loopback)
    delivering = Delivering(
        log=log,
        egress=egress,
        secrets=Secrets.of_cell(config.data),
        facts=facts,
        touched=touched,
        clock=clock,
        slots=asyncio.Semaphore(REQUESTS_AT_ONCE),
        reads=asyncio.Semaphore(READS_AT_ONCE),
    )
    running = [asyncio.create_task(_webhooks(log, delivering))]
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(running)
        resolver.close()


async def _webhooks(log: Log, delivering: Delivering) -> None:
    while True:
        try:
            await Webhooks(log, delivering).run()
        except (Broken, UnknownEvent) as error:
            _log.error("webhooks cannot be read", reason=str(error))
        await asyncio.sleep(AGAIN_SECONDS)
