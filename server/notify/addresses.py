"""Where this server may send a request that somebody else chose the address of: public https, and nothing inside.

What is written in the address is judged before anything is resolved; what it resolves to is judged before
anything is connected to. A development machine may allow its own loopback, over http too.
"""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

MAX_URL = 2048
MAX_HOST = 253

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_VISIBLE = re.compile(r"[!-~]+")

# The only part of IPv6 that is given out to machines of the public internet.
_UNICAST = ipaddress.IPv6Network("2000::/3")

# Public by number, and yet not for strangers: transition mechanisms that lead into other networks, relays, and the
# address at which one cloud answers its guests' questions about themselves.
_CLOSED = tuple(
    ipaddress.ip_network(each)
    for each in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)


class Forbidden(Exception):  # noqa: N818 - a refusal, not a fault
    """Nothing may be sent there. The message may be shown to whoever chose the address."""


class Target(msgspec.Struct, frozen=True):
    """A request's address, taken apart. `host` is a name or a literal address without brackets, `path` has the query."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme and authority."""
        return f"{'https' if self.tls else 'http'}://{self.authority}"


def parse(url: str, *, allow_loopback: bool) -> Target:
    """Take an address apart. Raises `Forbidden` on all but an https address of a public name or number.

    With `allow_loopback`, http may be written too: `check` then holds it to loopback.
    """
    if len(url) > MAX_URL or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise Forbidden(
            f"The address has to be at most {MAX_URL} visible ASCII characters without backslashes."
        )
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise Forbidden("The address is malformed.") from None
    if parts.scheme != "https" and not (allow_loopback and parts.scheme == "http"):
        raise Forbidden("The address has to begin with https://.")
    if "@" in parts.netloc:
        raise Forbidden("The address must not carry a user or a password.")
    if parts.fragment or url.endswith("#"):
        raise Forbidden("The address must not have a fragment.")
    if port == 0:
        raise Forbidden("There is no port 0.")
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(tls, _host(host), port or (443 if tls else 80), path)
    literal = _literal(target.host)
    if literal is not None:
        check(target, [literal], allow_loopback=allow_loopback)
    return target


def _host(host: str) -> str:
    if ":" in host:
        try:
            if "%" not in host:
                return str(ipaddress.IPv6Address(host))
        except ValueError:
            pass
        raise Forbidden("The host is no IPv6 address.")
    name = host.removesuffix(".")
    labels = name.split(".")
    if len(name) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise Forbidden("The host is no host name; international names are written in their xn-- form.")
    # A resolver takes 2130706433, 0x7f.1 and 0177.0.0.1 for addresses. Only four plain decimals may be one here.
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise Forbidden("The host is no IPv4 address in plain decimal form.") from None
    return name


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def check(target: Target, addresses: Sequence[Address], *, allow_loopback: bool) -> None:
    """Let pass what a name resolved to. Raises `Forbidden` if any one of the addresses may not be sent to.

    One that is refused refuses all: a name that mixes public and private addresses is up to something.
    """
    for address in addresses:
        if allow_loopback and address.is_loopback:
            continue
        if not target.tls:
            raise Forbidden("Only https may be used, but on this machine itself.")
        if not is_public(address):
            raise Forbidden("The host is not on the public internet.")


def is_public(address: Address) -> bool:
    """Tell whether an address is a public one of a single machine, and hides no other address in itself."""
    return (
        address.is_global
        and not address.is_multicast
        and (address.version == 4 or address in _UNICAST)
        and not any(address in network for network in _CLOSED if network.version == address.version)
    )
