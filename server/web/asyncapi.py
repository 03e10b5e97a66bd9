"""The AsyncAPI document of the realtime protocol, beside the OpenAPI one."""

from typing import Any

from litestar import get
from litestar.handlers import HTTPRouteHandler

from realtime.asyncapi import document


def handler(public_realtime: str) -> HTTPRouteHandler:
    """Serve the document at `/schema/asyncapi.json`."""
    made = document(public_realtime)

    @get("/schema/asyncapi.json", include_in_schema=False, sync_to_thread=False)
    def asyncapi() -> dict[str, Any]:
        return made

    return asyncapi
