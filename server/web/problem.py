"""Refusals at the edge: RFC 9457 problem+json with the stable codes of `cells.kernel.errors`."""

import os
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from cells.kernel.errors import CODES, Rejected
from cells.log.chain import Broken
from cells.log.port import LogUnavailable

_log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL = 300
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# Only these two leave open whether the write was applied.
INDEFINITE = frozenset({"outcome_unknown", "internal"})
DEFAULT_RETRY_MS = 1000

Headers = list[tuple[bytes, bytes]]

_BY_STATUS = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "unavailable",
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every refusal. `code` is stable; `detail` is for people; `trace` is in the server's log."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    retryable: bool
    trace: str | msgspec.UnsetType = msgspec.UNSET


_encoder = msgspec.json.Encoder()


def encode(refusal: Rejected, trace: str = "") -> bytes:
    """Encode the body of a refusal."""
    code = CODES[refusal.code]
    return _encoder.encode(
        Problem(
            f"urn:titan:problem:{refusal.code}",
            code.title,
            code.status,
            refusal.code,
            refusal.detail[:MAX_DETAIL],
            code.retryable,
            trace or msgspec.UNSET,
        )
    )


def headers(refusal: Rejected, method: str) -> Headers:
    """Return the headers that belong to a refusal, without its length."""
    found: Headers = [(b"content-type", MEDIA_TYPE.encode())]
    if method not in SAFE_METHODS and refusal.code not in INDEFINITE:
        found.append((b"titan-outcome", b"not-applied"))
    if refusal.status in (429, 503) or refusal.retry_after_ms is not None:
        wait = refusal.retry_after_ms if refusal.retry_after_ms is not None else DEFAULT_RETRY_MS
        found.append((b"retry-after", str(max(1, -(-wait // 1000))).encode()))
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        found.append((b"www-authenticate", b'Bearer realm="titan"'))
    return found


@lru_cache(maxsize=1024)
def _prepared(code: str, detail: str, retry_after_ms: int | None, method: str) -> tuple[Headers, bytes]:
    refusal = Rejected(code, detail, retry_after_ms=retry_after_ms)
    body = encode(refusal)
    return [*headers(refusal, method), (b"content-length", str(len(body)).encode())], body


async def send_refusal(
    send: Any, code: str, detail: str, method: str, *, retry_after_ms: int | None = None, close: bool = False
) -> None:
    """Answer a raw ASGI request with a refusal; `close` ends the connection behind it."""
    fields, body = _prepared(code, detail, retry_after_ms, method)
    if close:
        fields = [*fields, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": CODES[code].status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def send_problem(
    send: Any, refusal: Rejected, method: str, *, trace: str = "", close: bool = False
) -> None:
    """Answer a raw ASGI request with a refusal; with a `trace` it is an internal error's."""
    if not trace:
        await send_refusal(
            send, refusal.code, refusal.detail, method, retry_after_ms=refusal.retry_after_ms, close=close
        )
        return
    body = encode(refusal, trace)
    fields = [*headers(refusal, method), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def new_trace() -> str:
    """Make the id that ties an internal error's answer to its log line."""
    return os.urandom(8).hex()


def unexpected(error: Exception, method: str, path: str) -> tuple[Rejected, str]:
    """Log an error nobody expected; return the refusal that hides it, and the trace id of its log line."""
    trace = new_trace()
    _log.error("request failed", trace=trace, method=method, path=path[:200], exc_info=error)
    return Rejected("internal", f"It is in the server's log under trace {trace}."), trace


def translate(error: Exception, method: str) -> Rejected | None:
    """Return the refusal that an expected error stands for; None for one that nobody expected."""
    match error:
        case Rejected():
            return error
        case HTTPException(status_code=status) if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return Rejected(_BY_STATUS.get(status, "bad_request"), _detail(error))
        case LogUnavailable():
            # Raised outside of `handle`, it may follow an append of the same request.
            code = "unavailable" if method in SAFE_METHODS else "outcome_unknown"
            return Rejected(code, str(error))
        case Broken():
            _log.error("damaged aggregate", reason=str(error))
            return Rejected("fenced", "A part of the log that this request needs is damaged.")
        case _:
            return None


def _detail(error: HTTPException) -> str:
    if isinstance(error.extra, list):
        if any(isinstance(e, dict) and e.get("key") == "data" for e in error.extra):
            return "The body is missing."
        reasons = [f"{e.get('key', '')}: {e.get('message', '')}" for e in error.extra if isinstance(e, dict)]
        if reasons:
            return "; ".join(reasons)
    if error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return ""
    return error.detail


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer an exception of a handler, of routing or of parsing. The one exception handler of the application."""
    refusal, trace = translate(error, request.method), ""
    if refusal is None:
        refusal, trace = unexpected(error, request.method, request.url.path)
    fields = {name.decode(): value.decode() for name, value in headers(refusal, request.method)}
    if isinstance(error, HTTPException) and error.headers and "allow" in error.headers:
        fields["allow"] = ", ".join(sorted(error.headers["allow"].split(", ")))
    return Response(encode(refusal, trace), status_code=refusal.status, headers=fields, media_type=MEDIA_TYPE)


COMMON = (
    "bad_request",
    "method_not_allowed",
    "timeout",
    "too_large",
    "unsupported_media_type",
    "rate_limited",
    "internal",
    "unavailable",
)
"""What the edge may answer to any request, before a handler sees it."""


def refusals(*codes: str) -> dict[int, ResponseSpec]:
    """Declare the refusals of an operation for the OpenAPI document, with those that any operation has."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*codes, *COMMON)):
        by_status.setdefault(CODES[code].status, []).append(code)
    return {
        status: ResponseSpec(
            Problem, description=", ".join(found), media_type=MEDIA_TYPE, generate_examples=False
        )
        for status, found in sorted(by_status.items())
    }
