"""The operators' side of the api, assembled."""

import asyncio

from cells.engine.client import WriterClient
from realtime.events import Holder, key_subject
from server.chat import commands as chat
from server.chat.feature import desk_of
from server.chat.history import History
from server.chat.responder import Responder
from server.flash_sale.adapters import WriterClient as Sales
from server.flash_sale.desk import SaleDesk
from server.flash_sale.views import SaleViews
from server.ops import acting_http, http, operators_http
from server.ops.acting_http import Acting
from server.ops.ask import Observer
from server.ops.rooms_http import Talk
from server.store.waiting import Projected
from server.web.feature import Feature, Parts


def assemble(
    parts: Parts, sales: Sales, talkers: WriterClient[chat.Command, chat.Answer], projected: Projected
) -> Feature:
    """Offer what the dashboard uses, and tell hubs whose an operator's key is.

    The clients of the writers are started by the features that they belong to.
    """
    cell = parts.config.cell
    # Actions go to the writer and never by what this process has heard of a sale, so these views hear nothing.
    acting = Acting(SaleDesk(sales, SaleViews(parts.bus, cell), parts.log), parts.idempotency, parts.clock)
    desk = desk_of(parts, talkers, projected)
    talk = Talk(desk, History(parts.log), parts.log, parts.idempotency, parts.clock)
    responder = Responder(parts.bus)

    async def holder(key: str) -> Holder | None:
        found = await parts.authenticator.operator(key)
        return Holder(found.id, found.role, found.name) if found is not None else None

    async def listen() -> None:
        await responder.serve(key_subject(cell), lambda payload: payload.decode(errors="replace"), holder)
        await asyncio.Event().wait()

    return Feature(
        "ops",
        routes=(
            *http.handlers(Observer(parts.bus, cell), talk, cell),
            *acting_http.handlers(acting),
            *operators_http.handlers(parts.log, parts.clock),
        ),
        background=(listen,),
    )
