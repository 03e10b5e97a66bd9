"""Which upgrade requests are let in: rules over a request's line and headers."""

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from realtime import protocol

SECRET_PARAMETERS: Final = frozenset({"token", "access_token", "refresh_token", "authorization", "jwt"})


class Turned(msgspec.Struct, frozen=True):
    """An upgrade that is refused: status, a line for the developer, seconds to stay away."""

    status: HTTPStatus
    detail: str
    retry_after: int | None = None


def refusal(target: str, origin: str | None, offered: str, origins: frozenset[str]) -> Turned | None:
    """Answer why a request may not become a WebSocket, or None.

    `target` is the request's path and query, `offered` the comma-separated subprotocols. A request
    without an Origin is no browser's and is let in.
    """
    path, _, query = target.partition("?")
    if path != protocol.PATH:
        return Turned(HTTPStatus.NOT_FOUND, f"The realtime listener is at {protocol.PATH}.")
    if any(name.lower() in SECRET_PARAMETERS for name, _ in parse_qsl(query, keep_blank_values=True)):
        return Turned(
            HTTPStatus.BAD_REQUEST,
            "Addresses are logged on the way, so no secret may be in one: send the token in the hello command.",
        )
    if origin is not None and origin not in origins:
        return Turned(HTTPStatus.FORBIDDEN, "This origin is not allowed; see `titan config show`.")
    if protocol.SUBPROTOCOL not in {each.strip() for each in offered.split(",")}:
        return Turned(HTTPStatus.BAD_REQUEST, f"Offer the subprotocol {protocol.SUBPROTOCOL}.")
    return None
