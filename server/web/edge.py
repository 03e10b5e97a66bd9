"""The outermost shell of an api process: raw ASGI around the framework.

Every answer leaves through here, whoever made it, with the cell's headers. Every body is read here, once,
within its size and its time. Hot routes leave here, before the framework sees them.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any, TypeVar

import msgspec

from cells.kernel.clock import Clock, rfc3339
from cells.kernel.errors import Rejected
from cells.telemetry.instruments import Metrics
from server.web.deadlines import Deadlines
from server.web.feature import HotRoute, Send
from server.web.problem import send_problem, translate, unexpected

MAX_BODY = 16 << 10
MAX_HEADERS = 16 << 10
MAX_TARGET = 4 << 10
BODY_SECONDS = 5.0
MAX_DISCARDED = 2 << 20
DISCARD_SECONDS = 1.0
PREFLIGHT_SECONDS = 600

SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
DEFAULTS = {
    # An answer that sets one of these itself keeps its own.
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
_EXPOSED = b"Titan-Cell, Server-Time, Titan-Outcome, Retry-After, Idempotency-Replayed, Location"
_ALLOWED_HEADERS = b"authorization, content-type, idempotency-key"
_ALLOWED_METHODS = b"GET, POST, PATCH, DELETE"


Body = TypeVar("Body", bytes, bytearray)

_READ = frozenset(
    {
        b"host",
        b"origin",
        b"content-length",
        b"transfer-encoding",
        b"content-encoding",
        b"access-control-request-method",
    }
)


class _Head(msgspec.Struct):
    """What the edge needs of a request's headers, found in one pass."""

    size: int = 0
    hosts: int = 0
    origin: bytes = b""
    preflight: bool = False
    encoded: bool = False
    length: int | None = None
    chunked: bool = False


class _Gone(Exception):  # noqa: N818 - the client left; nobody is there to be told
    pass


def _read_head(headers: Sequence[tuple[bytes, bytes]]) -> _Head:
    head, size = _Head(), 0
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name not in _READ:
            continue
        match name:
            case b"host":
                head.hosts += 1 if value.strip() else 0
            case b"origin":
                head.origin = value
            case b"content-length":
                head.length = int(value) if value.isdigit() and len(value) < 20 else MAX_BODY + 1
            case b"transfer-encoding":
                head.chunked = True
            case b"content-encoding":
                head.encoded = value.strip().lower() not in {b"", b"identity"}
            case b"access-control-request-method":
                head.preflight = True
            case _:
                pass
    head.size = size
    return head


def _fault(scope: dict[str, Any], head: _Head) -> str:
    if head.size > MAX_HEADERS:
        return f"The headers are larger than {MAX_HEADERS} bytes."
    if head.hosts != 1:
        return "A request needs exactly one Host header."
    if len(scope["path"]) + len(scope["query_string"]) > MAX_TARGET:
        return f"The address is longer than {MAX_TARGET} bytes."
    # No text of ours has one, and Postgres refuses it as a fault of the program.
    if b"%00" in scope["query_string"] or "\0" in scope["path"]:
        return "The address holds a NUL character."
    return ""


def _refuse(scope: dict[str, Any], head: _Head) -> Rejected | None:
    fault = _fault(scope, head)
    if fault:
        return Rejected("bad_request", fault)
    if head.encoded:
        return Rejected("unsupported_media_type", "An encoded (compressed) body is not accepted.")
    if head.length is not None and head.length > MAX_BODY:
        return Rejected("too_large", f"The body is larger than {MAX_BODY} bytes.")
    return None


async def _read_body(receive: Any, deadlines: Deadlines, expected: int | None) -> bytes:
    """Read the body. One of known length is whole when that much has come: its end need not be waited for."""
    try:
        with deadlines:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            body: bytes = message.get("body") or b""
            if not message.get("more_body") or len(body) == expected:
                return _within_limit(body)
            chunks = bytearray(body)
            while message.get("more_body") and len(chunks) != expected:
                _within_limit(chunks)
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                chunks += message.get("body") or b""
            return bytes(_within_limit(chunks))
    except TimeoutError:
        raise Rejected("timeout", f"The body did not arrive within {BODY_SECONDS:g} seconds.") from None


def _within_limit(body: Body) -> Body:
    if len(body) > MAX_BODY:
        raise Rejected("too_large", f"The body is larger than {MAX_BODY} bytes.")
    return body


async def _discard(head: _Head, receive: Any) -> None:
    """Read on for a moment before a refusal: closing over unread bytes would reset the connection, and with it
    the answer that is on its way.
    """
    if not head.chunked and not 0 < (head.length or 0) <= MAX_DISCARDED:
        return
    left = MAX_DISCARDED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return
                left -= len(message.get("body") or b"")


class Edge:
    """The ASGI application that the server runs. Counts what is in flight, for the drain."""

    def __init__(
        self,
        app: Any,
        *,
        cell: str,
        origins: tuple[str, ...],
        hot: Sequence[HotRoute],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._clock = clock
        self._hot = tuple(hot)
        self._origins = frozenset(origin.encode() for origin in origins)
        self._fixed = [(b"titan-cell", cell.encode()), *SECURITY]
        if origins:
            self._fixed.append((b"vary", b"origin"))
        self._usual = [*self._fixed, *DEFAULTS.items()]
        self._stamped_at, self._stamp = 0, (b"server-time", b"")
        self._deadlines = Deadlines(BODY_SECONDS)
        self._statuses = [metrics.counter("titan_http_total", f'class="{c}xx"') for c in range(6)]
        for c, counter in enumerate(self._statuses):
            metrics.alias("titan_http_answers_total", f'class="{c}xx"', counter)
        self._seconds = metrics.histogram("titan_http_seconds")
        metrics.gauge("titan_http_in_flight", lambda: self.in_flight)
        self.in_flight = 0
        self.draining = False
        self._idle = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        self.in_flight += 1
        began = perf_counter()
        try:
            await self._answer(scope, receive, send, began)
        except _Gone:
            pass
        finally:
            self._seconds.observe(perf_counter() - began)
            self.in_flight -= 1
            if self.draining and not self.in_flight:
                self._idle.set()

    async def drained(self, timeout: float) -> bool:
        """Wait until nothing is in flight; False when `timeout` seconds passed first. Set `draining` before."""
        try:
            async with asyncio.timeout(timeout):
                while self.in_flight:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _answer(self, scope: dict[str, Any], receive: Any, send: Any, began: float) -> None:
        head = _read_head(scope["headers"])
        method: str = scope["method"]
        answer = _Answer(self, head, send, began)
        refusal = _refuse(scope, head)
        if refusal is not None:
            await _discard(head, receive)
            await send_problem(answer.send, refusal, method, close=True)
            return
        if head.preflight and method == "OPTIONS":
            await self._preflight(head, answer.send)
            return
        try:
            body = (
                await _read_body(receive, self._deadlines, head.length)
                if head.length or head.chunked
                else b""
            )
        except Rejected as refused:
            if refused.code == "too_large":
                await _discard(head, receive)
            await send_problem(answer.send, refused, method, close=True)
            return
        await self._dispatch(scope, body, receive, answer)

    async def _dispatch(self, scope: dict[str, Any], body: bytes, receive: Any, answer: "_Answer") -> None:
        method, path = scope["method"], scope["path"]
        try:
            for route in self._hot:
                if method == route.method and path.startswith(route.prefix) and path.endswith(route.suffix):
                    try:
                        await route.handler(scope, body, answer.send)
                    finally:
                        route.seconds.observe(perf_counter() - answer.began)
                    return
            await self._app(scope, _replay(body, receive), answer.send)
        except Exception as error:  # noqa: BLE001 - the last line: whatever it is, the client gets an answer
            refusal, trace = translate(error, method), ""
            if refusal is None:
                refusal, trace = unexpected(error, method, path)
            if not answer.started:
                await send_problem(answer.send, refusal, method, trace=trace)

    async def _preflight(self, head: _Head, send: Send) -> None:
        headers = [(b"content-length", b"0")]
        if head.origin in self._origins:
            headers += [
                (b"access-control-allow-methods", _ALLOWED_METHODS),
                (b"access-control-allow-headers", _ALLOWED_HEADERS),
                (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
            ]
        await send({"type": "http.response.start", "status": HTTPStatus.NO_CONTENT, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def complete(self, headers: Sequence[tuple[bytes, bytes]], status: int, origin: bytes) -> Any:
        """Return the headers of an answer with those that every answer has."""
        self._statuses[status // 100].value += 1
        now = self._clock.now()
        if now != self._stamped_at:
            self._stamped_at, self._stamp = now, (b"server-time", rfc3339(now).encode())
        if origin or self.draining or any(name in DEFAULTS for name, _ in headers):
            return self._unusual(headers, origin)
        return [*headers, *self._usual, self._stamp]

    def _unusual(self, headers: Sequence[tuple[bytes, bytes]], origin: bytes) -> Any:
        names = {name for name, _ in headers}
        whole = [*headers, *self._fixed, self._stamp]
        whole += [(name, value) for name, value in DEFAULTS.items() if name not in names]
        if origin in self._origins:
            whole.append((b"access-control-allow-origin", origin))
            whole.append((b"access-control-expose-headers", _EXPOSED))
        if self.draining and b"connection" not in names:
            whole.append((b"connection", b"close"))
        return whole


class _Answer:
    """The sending side of one request: completes the headers and remembers that they have left."""

    __slots__ = ("_edge", "_head", "_send", "began", "started")

    def __init__(self, edge: Edge, head: _Head, send: Any, began: float) -> None:
        self._edge = edge
        self._head = head
        self._send = send
        self.began = began
        self.started = False

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = self._edge.complete(
                message.get("headers", ()), message["status"], self._head.origin
            )
        await self._send(message)


def _replay(body: bytes, receive: Any) -> Any:
    """Return a `receive` that hands out the body that was read, and then what the connection says."""
    pending = True

    async def replayed() -> dict[str, Any]:
        nonlocal pending
        if pending:
            pending = False
            return {"type": "http.request", "body": body, "more_body": False}
        message: dict[str, Any] = await receive()
        return message

    return replayed
