"""Which requests the served dashboard takes at all: those of a page that it served itself, under a name of this machine."""

from typing import Final
from urllib.parse import urlsplit

from admin_tui.addresses import is_loopback

SAFE: Final = frozenset({"GET", "HEAD"})


def refusal(method: str, host: str, origin: str | None, *, is_socket: bool) -> str:
    """Return why a request is refused, or nothing.

    The Host has to be a name of this machine, which no name that was re-bound to it is. A WebSocket, and whatever
    changes something, needs the Origin of just that host: a page of somebody else's has another one.
    """
    if not is_loopback(_name(host)):
        return "This address is served under the names of this machine only: 127.0.0.1 or localhost."
    if not is_socket and method in SAFE:
        return ""
    if origin is None or origin != f"http://{host}":
        return "This was asked for by another page."
    return ""


def _name(host: str) -> str:
    try:
        return urlsplit(f"http://{host}").hostname or ""
    except ValueError:
        return ""
