"""Checkout, assembled: the confirm in `api`, and the recovery saga in the projector's process."""

import asyncio

from cells.kernel.clock import Clock
from cells.log.port import Log
from server.checkout.adapters import Checkout
from server.checkout.http import handlers
from server.checkout.recovery import SWEEP_SECONDS, Recovery
from server.flash_sale.ports import Sales
from server.payments.adapters import SandboxProvider
from server.payments.ports import PaymentProvider
from server.web.feature import Feature, Parts


def assemble(parts: Parts, sales: Sales) -> Feature:
    """Let buyers pay for their holds, at the sandbox."""
    provider = SandboxProvider(parts.log, parts.clock)
    checkout = Checkout(parts.log, sales, provider, parts.clock, origin="checkout")
    return Feature("checkout", routes=handlers(checkout))


async def run_recovery(
    log: Log, sales: Sales, provider: PaymentProvider, clock: Clock, stopping: asyncio.Event
) -> None:
    """Finish what no api finished, until `stopping`. Raises what makes the log's payments unreadable.

    Remembers nothing: a new start reads the log again. Payments begin to be finished once it has been read.
    """
    recovery = Recovery(log, Checkout(log, sales, provider, clock, origin="recovery"), clock)
    running = [asyncio.create_task(recovery.follow()), asyncio.create_task(_sweep(recovery))]
    running.append(asyncio.create_task(_set(stopping)))
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _sweep(recovery: Recovery) -> None:
    await recovery.caught_up.wait()
    while True:
        await recovery.sweep()
        await asyncio.sleep(SWEEP_SECONDS)


async def _set(event: asyncio.Event) -> None:
    await event.wait()
