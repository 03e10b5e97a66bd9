"""Chat, assembled."""

import asyncio

from cells.engine.client import WriterClient
from server.chat.channels import ChannelDesk, Epoch
from server.chat.commands import Answer, Command
from server.chat.desk import ChatDesk
from server.chat.history import History
from server.chat.http import handlers
from server.chat.responder import Responder
from server.chat.wire import WIRE
from server.flash_sale.views import SaleViews
from server.store.waiting import Projected
from server.web.feature import Feature, Parts


def desk_of(parts: Parts, writer: WriterClient[Command, Answer], projected: Projected) -> ChatDesk:
    """Return a desk over the writer's client."""
    views = SaleViews(parts.bus, parts.config.cell)
    return ChatDesk(writer, views, parts.log, projected, parts.clock)


def writer_client(parts: Parts) -> WriterClient[Command, Answer]:
    """Return the client of chat's writer that features share. It has to be started."""
    return WriterClient(parts.bus, parts.config.cell, parts.clock, WIRE)


def assemble(parts: Parts, writer: WriterClient[Command, Answer], projected: Projected) -> Feature:
    """Offer conversations and rooms, over HTTP and to the hubs."""
    cell = parts.config.cell
    desk = desk_of(parts, writer, projected)
    history = History(parts.log)
    channels = ChannelDesk(desk, history, Epoch(parts.log), parts.clock)
    responder = Responder(parts.bus)

    async def listen() -> None:
        await writer.start()
        await channels.listen(responder, cell)
        await asyncio.Event().wait()

    return Feature(
        "chat",
        routes=handlers(desk, history, parts.idempotency, projected, parts.clock),
        background=(listen,),
    )
