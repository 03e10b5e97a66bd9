"""The OpenAPI document: generated from the handlers, closed with what the edge adds to all of them."""

from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server

VERSION = "1"


def openapi_config(public_url: str) -> OpenAPIConfig:
    """Serve the document at `/schema/openapi.json` as plain JSON: no page that would load scripts from elsewhere."""
    return OpenAPIConfig(
        title="Titan",
        version=VERSION,
        summary="A real-time commerce server for flash sales",
        description=(
            "Errors are RFC 9457 problem+json with a stable `code`. Every answer carries `Titan-Cell` and "
            "`Server-Time`; a definite refusal of a write carries `Titan-Outcome: not-applied`."
        ),
        servers=[Server(url=public_url)],
        path="/schema",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="An access token of an account, or the key of an operator.",
                )
            }
        ),
    )
