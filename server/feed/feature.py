"""The accounts' `me` channels, assembled."""

import asyncio

from server.chat.channels import Epoch
from server.chat.responder import Responder
from server.feed.channel import FeedDesk
from server.web.feature import Feature, Parts


def assemble(parts: Parts) -> Feature:
    """Answer hubs about the news of accounts."""
    desk, responder = FeedDesk(Epoch(parts.log)), Responder(parts.bus)

    async def listen() -> None:
        await desk.listen(responder, parts.config.cell)
        await asyncio.Event().wait()

    return Feature("feed", background=(listen,))
