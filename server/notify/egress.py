"""The one way out: every request to an address that somebody else chose is made here.

A name is resolved once; what it resolved to is checked and connected to, so a second answer of the name server
counts for nothing. Redirects are not followed, they are answers. Of an answer only status and headers are kept.
"""

import asyncio
import contextlib
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from server.notify import addresses
from server.notify.addresses import Address, Target

DEADLINE_SECONDS = 5.0
MAX_ANSWER = 64 * 1024
DRAIN_SECONDS = 0.5
INTERIM_ANSWERS = 4
LOOKUPS_AT_ONCE = 32
CONNECTS = 3

USER_AGENT = "Titan"

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Unreachable(Exception):  # noqa: N818 - an outcome, not a fault
    """No answer came. The request may have arrived."""


class Reply(msgspec.Struct, frozen=True):
    """What was answered. Names of `headers` are in lower case; of several with one name the first counts."""

    status: int
    headers: Mapping[str, str]

    @property
    def accepted(self) -> bool:
        """Whether the other side took what it was sent."""
        return 200 <= self.status < 300


class SystemResolver:
    """Asks the system, in threads of its own: a hanging name server occupies one for each name, however often asked."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="resolve")
        self._asking: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return a name's addresses. Raises `OSError`."""
        asked = self._asking.get((host, port))
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asking[host, port] = loop.run_in_executor(self._threads, _look_up, host, port)
            asked.add_done_callback(lambda done: self._answered((host, port), done))
        # One that gives up must not take the answer from the others.
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Ask nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answered(self, key: tuple[str, int], done: asyncio.Future[list[str]]) -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Egress:
    """Sends requests out. `allow_loopback` is for development and tests."""

    def __init__(
        self,
        resolve: Resolve,
        *,
        allow_loopback: bool = False,
        tls: ssl.SSLContext | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._resolve = resolve
        self._allow_loopback = allow_loopback
        self._tls = tls or ssl.create_default_context()
        self._deadline = deadline_seconds

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a body and return what is answered within the deadline.

        Raises `Forbidden` when the address, or what its name resolves to now, is not for us to reach, and
        `Unreachable` when no answer comes. Nothing is sent a second time.
        """
        target = addresses.parse(url, allow_loopback=self._allow_loopback)
        try:
            async with asyncio.timeout(self._deadline):
                found = await self._addresses(target)
                reader, writer = await self._connect(target, found)
                try:
                    writer.write(_request(target, headers, body))
                    await writer.drain()
                    reply = await _reply(reader)
                    await _drain(reader, reply)
                finally:
                    writer.transport.abort()
                return reply
        except TimeoutError:
            raise Unreachable(f"no answer within {self._deadline:g} s") from None
        except ssl.SSLError as error:
            raise Unreachable(f"TLS: {error.reason or 'failed'}") from error
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise Unreachable(_said(error)) from error

    async def _addresses(self, target: Target) -> list[Address]:
        try:
            found = [ipaddress.ip_address(target.host)]
        except ValueError:
            answers = await self._resolve(target.host, target.port)
            found = [ipaddress.ip_address(answer.partition("%")[0]) for answer in answers]
        if not found:
            raise OSError("the name has no address")
        addresses.check(target, found, allow_loopback=self._allow_loopback)
        return found[:CONNECTS]

    async def _connect(
        self, target: Target, found: Sequence[Address]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for last, address in enumerate(found, start=1):
            try:
                return await asyncio.open_connection(
                    str(address),
                    target.port,
                    limit=MAX_ANSWER,
                    ssl=self._tls if target.tls else None,
                    server_hostname=target.host if target.tls else None,
                )
            except ssl.SSLError:
                raise
            except OSError:
                if last == len(found):
                    raise
        raise OSError("the name has no address")


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        f"User-Agent: {USER_AGENT}",
        "Accept: */*",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header holds a line break")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


async def _reply(reader: asyncio.StreamReader) -> Reply:
    for _ in range(INTERIM_ANSWERS + 1):
        head = await _head(reader)
        found = _STATUS.match(head)
        if found is None:
            raise ValueError("the answer is not HTTP/1.1")
        status = int(found[1])
        if status >= 200:
            return Reply(status, _headers(head[found.end() :]))
    raise ValueError("interim answers only")


async def _head(reader: asyncio.StreamReader) -> bytes:
    lines = bytearray()
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the connection was closed before an answer")
        if line in (b"\r\n", b"\n"):
            return bytes(lines)
        lines += line
        if len(lines) > MAX_ANSWER:
            raise ValueError("the answer's headers are too long")


def _headers(text: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            found.setdefault(name.strip().lower().decode("latin-1"), value.strip().decode("latin-1"))
    return found


async def _drain(reader: asyncio.StreamReader, reply: Reply) -> None:
    """Read a short body away, so that a polite peer is not cut off; the answer counts without it."""
    length = reply.headers.get("content-length", "")
    left = min(int(length), MAX_ANSWER) if length.isascii() and length.isdigit() else MAX_ANSWER
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                piece = await reader.read(min(left, 16 * 1024))
                if not piece:
                    return
                left -= len(piece)


def _said(error: Exception) -> str:
    """Say what went wrong, in words that never hold what the other side sent."""
    if isinstance(error, socket.gaierror):
        return "the name cannot be resolved"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
