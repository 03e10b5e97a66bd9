"""What the projector process sends out: webhooks of merchants and pushes to people."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from cells.config import CellConfig
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.log.port import Log, LogUnavailable
from cells.tasks import end
from server.notify.egress import Egress, SystemResolver
from server.notify.touched import Touched
from server.push.chat import ChatSource
from server.push.results import ResultSource
from server.push.sender import Sender
from server.push.subscribers import Subscribers
from server.push.vapid import Vapid
from server.push.worker import Pushing
from server.push.worker import Worker as Push
from server.webhooks.delivering import Delivering
from server.webhooks.facts import facts
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
    pushing = Pushing(
        log=log,
        subscribers=Subscribers(log, clock),
        sender=Sender(
            egress,
            Vapid.of_cell(config.data, config.push_contact, config.public_api),
            clock,
            allow_loopback=config.webhooks_allow_loopback,
        ),
        touched=touched,
        clock=clock,
    )
    running = [
        asyncio.create_task(_again("webhooks", lambda: Webhooks(log, delivering).run())),
        asyncio.create_task(_again("push of messages", lambda: Push(pushing, ChatSource(log)).run())),
        asyncio.create_task(_again("push of results", lambda: Push(pushing, ResultSource(log)).run())),
    ]
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(running)
        resolver.close()


async def _again(what: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await run()
        except (LogUnavailable, Rejected) as error:
            _log.warning("notifying waits", what=what, reason=str(error))
        except Exception:  # noqa: BLE001 - what cannot be told must not stop the read models; it is reported
            _log.exception("notifying is stuck", what=what)
        await asyncio.sleep(AGAIN_SECONDS)
