"""The AsyncAPI document of the realtime protocol, beside the OpenAPI one."""

from typing import Any, Final

from litestar import get
from litestar.handlers import HTTPRouteHandler

from realtime.asyncapi import Told, document
from server.chat import frames
from server.chat.channels import State
from server.feed import model as feed
from server.flash_sale.showing import WatchedSale
from server.ops.words import Frame

TOLD: Final = {
    "sale": Told({"sale": WatchedSale}, snapshot=WatchedSale),
    "room": Told(frames.ROOM_BODIES, snapshot=State),
    "chat": Told(frames.BODIES, snapshot=State),
    "me": Told({name: news for news, name in feed.TYPES.items()}),
    "ops": Told({"ops": Frame}, snapshot=Frame),
}
"""What the features tell on their channels."""


def handler(public_realtime: str) -> HTTPRouteHandler:
    """Serve the document at `/schema/asyncapi.json`."""
    made = document(public_realtime, TOLD)

    @get("/schema/asyncapi.json", include_in_schema=False, sync_to_thread=False)
    def asyncapi() -> dict[str, Any]:
        return made

    return asyncapi
