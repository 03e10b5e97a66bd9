"""Which requests are let in, for WebSockets and for server-sent events: rules over a request's line and headers."""

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from realtime import protocol
from realtime.channels import channel_name

SECRET_PARAMETERS: Final = frozenset({"token", "access_token", "refresh_token", "authorization", "jwt"})
SSE_PATH: Final = "/sse"


class Turned(msgspec.Struct, frozen=True):
    """A request that is refused: status, a line for the developer, seconds to stay away."""

    status: HTTPStatus
    detail: str
    retry_after: int | None = None


class Stream(msgspec.Struct, frozen=True):
    """What a request for server-sent events asks for: a channel, and where the client is in it."""

    channel: str
    epoch: str | None = None
    since: int | None = None


def refusal(target: str, origin: str | None, offered: str, origins: frozenset[str]) -> Turned | None:
    """Answer why a request may not become a WebSocket, or None.

    `target` is the request's path and query, `offered` the comma-separated subprotocols. A request
    without an Origin is no browser's and is let in.
    """
    path, _, query = target.partition("?")
    if path != protocol.PATH:
        return Turned(HTTPStatus.NOT_FOUND, f"The realtime listener is at {protocol.PATH}.")
    turned = _common_refusal(query, origin, origins)
    if turned is not None:
        return turned
    if protocol.SUBPROTOCOL not in {each.strip() for each in offered.split(",")}:
        return Turned(HTTPStatus.BAD_REQUEST, f"Offer the subprotocol {protocol.SUBPROTOCOL}.")
    return None


def stream_of(
    target: str, origin: str | None, last_event_id: str | None, origins: frozenset[str]
) -> Stream | Turned:
    """Answer which stream of events a request is for, or why it gets none."""
    path, _, query = target.partition("?")
    if path != SSE_PATH:
        return Turned(HTTPStatus.NOT_FOUND, f"Server-sent events are at {SSE_PATH}.")
    turned = _common_refusal(query, origin, origins)
    if turned is not None:
        return turned
    channels = [value for name, value in parse_qsl(query) if name == "ch"]
    name = channel_name(channels[0]) if len(channels) == 1 else None
    if name is None:
        return Turned(HTTPStatus.BAD_REQUEST, "Name one channel: ?ch=sale:<id> or ?ch=room:<id>.")
    if not name.family.anonymous:
        return Turned(HTTPStatus.FORBIDDEN, "This stream has public channels only.")
    epoch, slash, since = (last_event_id or "").rpartition("/")
    if not slash or not since.isascii() or not since.isdigit() or len(since) > len(str(1 << 53)):
        return Stream(str(name))
    return Stream(str(name), epoch, int(since))


def _common_refusal(query: str, origin: str | None, origins: frozenset[str]) -> Turned | None:
    if any(name.lower() in SECRET_PARAMETERS for name, _ in parse_qsl(query, keep_blank_values=True)):
        return Turned(
            HTTPStatus.BAD_REQUEST,
            "Addresses are logged on the way, so no secret may be in one: send the token in the hello command.",
        )
    if origin is not None and origin not in origins:
        return Turned(HTTPStatus.FORBIDDEN, "This origin is not allowed; see `titan config show`.")
    return None
