"""The flash sale, assembled."""

import asyncio

from cells.kernel.chance import fresh
from server.flash_sale import hot
from server.flash_sale.adapters import WriterClient
from server.flash_sale.desk import SaleDesk
from server.flash_sale.gate import NO_RATE, Rate, ValkeyGate
from server.flash_sale.http import handlers
from server.flash_sale.intake import Intake
from server.flash_sale.views import SaleViews
from server.store.waiting import Projected
from server.web.feature import Feature, Parts


def writer_client(parts: Parts) -> WriterClient:
    """Return the client of the sales' writer that all features share. It has to be started."""
    return WriterClient(parts.bus, parts.config.cell, parts.clock)


def assemble(parts: Parts, sales: WriterClient, projected: Projected) -> Feature:
    """Offer sales and holds."""
    views = SaleViews(parts.bus, parts.config.cell)
    gate = ValkeyGate(parts.valkey, parts.config.cell, Rate() if parts.config.rate_limits else NO_RATE)
    gate.observe = parts.metrics.histogram("titan_gate_seconds").observe
    gate.unheard = views.look_up
    intake = Intake(gate, sales, lambda slot: fresh("hld", slot, parts.clock))
    desk = SaleDesk(sales, views, parts.log)
    handler = hot.HoldHandler(intake, views, parts.authenticator, hot.outcomes(parts.metrics))

    async def listen() -> None:
        await views.start()
        await sales.start()
        await asyncio.Event().wait()

    return Feature(
        "flash_sale",
        routes=handlers(desk, parts.idempotency, projected, parts.clock),
        hot=(hot.route(handler, parts.metrics.histogram("titan_hold_seconds")),),
        operations=hot.operations(),
        background=(listen,),
        health={"writer": lambda: "ok" if sales.leader else "no writer leads this cell"},
    )
