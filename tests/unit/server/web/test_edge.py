"""The outermost shell, driven as ASGI without a server."""

import asyncio
import json
from typing import Any

import pytest

from cells.kernel.clock import ManualClock
from cells.kernel.errors import Rejected
from cells.telemetry.instruments import Metrics
from server.web import edge as edge_module
from server.web.edge import MAX_BODY, Edge
from server.web.feature import HotRoute

HOST = (b"host", b"titan")


class Client:
    """Sends one request into the application and keeps the answer."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    async def ask(
        self,
        method: str = "GET",
        path: str = "/",
        headers: Any = (HOST,),
        chunks: Any = (b"",),
        query: bytes = b"",
        *,
        hang: bool = False,
    ) -> "Client":
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": list(headers),
            "client": ("127.0.0.1", 1),
        }
        messages = [
            {"type": "http.request", "body": c, "more_body": hang or i < len(chunks) - 1}
            for i, c in enumerate(chunks)
        ]

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            await asyncio.Event().wait()
            return None

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status, self.headers = message["status"], dict(message["headers"])
            else:
                self.body += message["body"]

        await self.app(scope, receive, send)
        return self

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


async def echo(scope, receive, send):
    if scope["path"] == "/boom":
        msg = "secret detail"
        raise ValueError(msg)
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": message["body"]})


async def hot(scope: Any, body: bytes, send: Any) -> None:  # noqa: ARG001 - the hot routes' signature
    if body == b"no":
        raise Rejected("sold_out")
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"hot " + body})


@pytest.fixture
def edge():
    metrics = Metrics()
    route = HotRoute("POST", "/api/v1/sales/", "/holds", hot, metrics.histogram("titan_hold_seconds"))
    return Edge(
        echo,
        cell="c7",
        origins=("https://shop.example",),
        hot=[route],
        clock=ManualClock(1_800_000_000_123),
        metrics=metrics,
    )


def sized(body: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return (HOST, (b"content-length", str(len(body)).encode()))


async def test_every_answer_names_the_cell_and_the_time(edge):
    for path in ("/", "/boom"):
        answer = await Client(edge).ask(path=path)

        assert answer.headers[b"titan-cell"] == b"c7"
        assert answer.headers[b"server-time"] == b"2027-01-15T08:00:00.123Z"
        assert answer.headers[b"x-content-type-options"] == b"nosniff"
        assert answer.headers[b"cache-control"] == b"no-store"


async def test_a_body_reaches_the_framework_whole(edge):
    answer = await Client(edge).ask(
        "POST", headers=(HOST, (b"transfer-encoding", b"chunked")), chunks=(b"ab", b"", b"c")
    )

    assert answer.body == b"abc"


async def test_the_largest_body_passes_and_one_byte_more_does_not(edge):
    largest = b"x" * MAX_BODY

    assert (await Client(edge).ask("POST", headers=sized(largest), chunks=(largest,))).status == 200
    refused = await Client(edge).ask("POST", headers=sized(largest + b"x"), chunks=(b"",))
    assert (refused.status, refused.code) == (413, "too_large")
    assert refused.headers[b"connection"] == b"close"
    assert refused.headers[b"titan-outcome"] == b"not-applied"


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(edge):
    chunked = (HOST, (b"transfer-encoding", b"chunked"))

    refused = await Client(edge).ask("POST", headers=chunked, chunks=(b"x" * 9000, b"x" * 9000))

    assert refused.status == 413


async def test_a_body_that_does_not_arrive_times_out(edge, monkeypatch):
    monkeypatch.setattr(edge_module, "BODY_SECONDS", 0.05)

    refused = await Client(edge).ask("POST", headers=sized(b"ab"), chunks=(b"a",), hang=True)

    assert (refused.status, refused.code) == (408, "timeout")
    assert refused.headers[b"connection"] == b"close"


@pytest.mark.parametrize(
    ("request_", "code"),
    (
        ({"headers": ()}, "bad_request"),
        ({"headers": ((b"host", b""),)}, "bad_request"),
        ({"headers": (HOST, HOST)}, "bad_request"),
        ({"headers": (HOST, (b"x", b"y" * 17_000))}, "bad_request"),
        ({"query": b"q=" + b"y" * 5_000}, "bad_request"),
        ({"headers": (HOST, (b"content-encoding", b"gzip"))}, "unsupported_media_type"),
        ({"headers": (HOST, (b"content-length", b"-1"))}, "too_large"),
    ),
)
async def test_what_the_edge_refuses(edge, request_, code):
    assert (await Client(edge).ask("POST", **request_)).code == code


async def test_an_unexpected_error_keeps_its_secrets(edge):
    answer = await Client(edge).ask("POST", path="/boom", headers=sized(b""))

    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], len(problem["trace"])) == (500, "internal", 16)
    assert b"secret" not in answer.body
    assert b"titan-outcome" not in answer.headers


async def test_a_hot_route_bypasses_the_framework(edge):
    taken = await Client(edge).ask("POST", "/api/v1/sales/sal_1/holds", sized(b"{}"), (b"{}",))
    refused = await Client(edge).ask("POST", "/api/v1/sales/sal_1/holds", sized(b"no"), (b"no",))
    other = await Client(edge).ask("GET", "/api/v1/sales/sal_1/holds")

    assert (taken.status, taken.body) == (201, b"hot {}")
    assert (refused.status, refused.code) == (409, "sold_out")
    assert other.body == b""


async def test_only_listed_origins_may_read_answers(edge):
    for origin, allowed in (
        (b"https://shop.example", True),
        (b"https://shop.example.evil", False),
        (b"null", False),
    ):
        answer = await Client(edge).ask(headers=(HOST, (b"origin", origin)))

        assert (b"access-control-allow-origin" in answer.headers) is allowed
        assert answer.headers[b"vary"] == b"origin"


async def test_a_preflight_is_answered_without_the_framework(edge):
    asked = (HOST, (b"origin", b"https://shop.example"), (b"access-control-request-method", b"POST"))

    answer = await Client(edge).ask("OPTIONS", headers=asked)

    assert answer.status == 204
    assert b"authorization" in answer.headers[b"access-control-allow-headers"]


async def test_a_drain_waits_for_what_is_in_flight(edge):
    asking = asyncio.create_task(Client(edge).ask("POST", headers=sized(b"ab"), chunks=(b"a",), hang=True))
    await asyncio.sleep(0)  # one turn: it is in
    assert edge.in_flight == 1

    assert not await edge.drained(0.01)

    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert await edge.drained(0.01)


async def test_answers_during_a_drain_close_their_connections(edge):
    edge.draining = True

    assert (await Client(edge).ask()).headers[b"connection"] == b"close"
