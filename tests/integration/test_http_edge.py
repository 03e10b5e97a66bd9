"""Hostile HTTP against a real cell: every answer is a declared one, and nothing is ever a 500."""

import asyncio
import json
import time

import pytest

from fixtures.load.http import Client, target_of
from fixtures.load.response import Response
from tests.integration.conftest import Cell

MAX_BODY = 16 << 10
JSON = "content-type: application/json"


class Answer:
    """What came back over a raw connection."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0] else 0
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


async def talk(cell: Cell, *parts: bytes, pause: float = 0.0, limit: float = 10.0) -> Answer:
    """Send bytes as they are and read until the server closes or has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cell.config.api_port)
    try:
        async with asyncio.timeout(limit):
            for part in parts:
                writer.write(part)
                await writer.drain()
                if pause:
                    await asyncio.sleep(pause)
            return Answer(await reader.read(1 << 20))
    finally:
        writer.close()


def head(method: str, path: str, *headers: str, host: str = "host: titan") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *([host] if host else []), *headers]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def post(*headers: str) -> bytes:
    return head("POST", "/api/v1/auth/login", JSON, *headers)


async def test_every_answer_carries_the_cells_headers(api):
    asked = [
        ("GET", "/health/live", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/health/live", 405),
        ("POST", "/api/v1/auth/login", 400),
        ("GET", "/api/v1/me", 401),
        ("TRACE", "/health/live", 405),
    ]
    for method, path, status in asked:
        answer = await api.request(method, path)

        assert answer.status_code == status, (method, path)
        assert answer.headers["titan-cell"] == "c1"
        assert answer.headers["server-time"].endswith("Z")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status
        if status == 405:
            assert "GET" in answer.headers["allow"]


async def test_a_body_of_the_largest_size_is_read_and_one_byte_more_is_not(cell):
    largest = b'{"email":"' + b"x" * (MAX_BODY - 12) + b'"}'
    assert len(largest) == MAX_BODY

    read = await talk(cell, post(f"content-length: {MAX_BODY}", "connection: close") + largest)
    refused = await talk(cell, post(f"content-length: {MAX_BODY + 1}") + largest + b" ")

    assert (read.status, read.code) == (400, "bad_request")
    assert (refused.status, refused.code) == (413, "too_large")
    assert refused.headers["connection"] == "close"


async def test_a_chunked_body_is_cut_off_at_the_limit(cell):
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"

    refused = await talk(cell, post("transfer-encoding: chunked"), *[chunk] * 6)

    assert (refused.status, refused.code) == (413, "too_large")


async def test_a_body_that_comes_too_slowly_times_out(cell):
    began = time.monotonic()

    refused = await talk(cell, post("content-length: 100") + b'{"email"')

    assert (refused.status, refused.code) == (408, "timeout")
    assert 4.5 < time.monotonic() - began < 8
    assert refused.headers["connection"] == "close"


async def test_slow_senders_do_not_slow_others_down(cell, api):
    slow = [asyncio.create_task(talk(cell, post("content-length: 100") + b"{")) for _ in range(200)]
    try:
        async with asyncio.timeout(5):
            while True:
                began = time.monotonic()
                assert (await api.get("/health/live")).status_code == 200
                if time.monotonic() - began < 0.1:
                    break
        mia = {"email": "nobody@example.com", "password": "x"}
        assert (await api.post("/api/v1/auth/login", json=mia)).status_code == 401
    finally:
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


@pytest.mark.parametrize(
    ("request_", "status"),
    (
        (head("GET", "/health/live", "connection: close", host=""), 400),
        (head("GET", "/health/live", "host: other", "connection: close"), 400),
        (head("GET", "/health/live", f"x: {'y' * 17_000}", "connection: close"), 400),
        (head("GET", f"/health/live?{'q' * 5_000}", "connection: close"), 400),
        (head("GET", f"/{'p' * 5_000}", "connection: close"), 400),
        (head("GET", "/api/v1/sales?merchant=a%00b", "connection: close"), 400),
        (head("GET", "/api/v1/products/a%00b", "connection: close"), 400),
        (post("content-encoding: gzip", "content-length: 2", "connection: close") + b"\x1f\x8b", 415),
        (
            head(
                "POST",
                "/api/v1/auth/login",
                "content-type: text/plain",
                "content-length: 2",
                "connection: close",
            )
            + b"{}",
            415,
        ),
    ),
)
async def test_what_the_edge_refuses(cell, request_, status):
    answer = await talk(cell, request_)

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    (
        b"",
        b"{",
        b"null",
        b"[]",
        b"[" * 16_000,
        b'{"email":' + b"[" * 16_000,
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b'{"email":' + b"9" * 16_000 + b"}",
        b'{"email":1e999999}',
        b'{"email":NaN}',
        b'{"email":"\\ud800"}',
        b"\xff\xfe\x00",
        b'{"email":"a@b.cd","email":1}',
        b"\x00" * 100,
    ),
)
async def test_broken_json_is_a_bad_request(api, body):
    answer = await api.post("/api/v1/auth/login", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_a_number_of_a_million_digits_is_too_large(api):
    body = b'{"email":' + b"9" * 1_000_000 + b"}"

    answer = await api.post("/api/v1/auth/login", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 413


async def test_garbage_instead_of_http_harms_nobody(cell, api):
    for raw in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n", b"GET\r\n\r\n"):
        try:
            answer = await talk(cell, raw, limit=7)
        except (ConnectionError, TimeoutError):
            continue
        assert answer.status in (0, 400, 505)

    assert (await api.get("/health/ready")).status_code == 200


async def test_only_the_cells_own_origins_may_read(cell, api):
    own = cell.config.origins[0]
    for origin, allowed in (
        (own, True),
        (own.replace("127.0.0.1", "127x0.0.1"), False),
        (f"{own}.evil.example", False),
        ("null", False),
    ):
        preflight = await api.options(
            "/api/v1/products", headers={"origin": origin, "access-control-request-method": "POST"}
        )
        answer = await api.get("/health/live", headers={"origin": origin})

        assert preflight.status_code == 204
        for found in (preflight, answer):
            assert (found.headers.get("access-control-allow-origin") == origin) is allowed
            assert "access-control-allow-credentials" not in found.headers


async def test_readiness_names_every_part(api):
    answer = await api.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert {"api", "log", "valkey", "postgres"} <= set(answer.json()["parts"])


async def test_metrics_are_open_to_loopback(api):
    answer = await api.get("/metrics")

    assert answer.status_code == 200
    assert "titan_http_answers_total" in answer.text


async def test_an_id_leads_to_its_cell(cell, api, register):
    mia = await register()

    found = await api.get("/api/v1/route", params={"id": mia.user["id"]})

    assert found.json() == {
        "cell": "c1",
        "api": cell.config.public_api,
        "realtime": cell.config.public_realtime,
        "epoch": 1,
    }
    for wrong in ("", "x", "usr_zzz", "usr_" + "0" * 29):
        assert (await api.get("/api/v1/route", params={"id": wrong})).status_code == 400
    assert (await api.get("/api/v1/route")).status_code == 400


async def test_what_one_account_sees_another_does_not(register):
    """Everything that one merchant may do to what is its own, another may not."""
    mia, other = await register("merchant"), await register("merchant")
    body = {"title": "Shoe", "price": {"amount": 1, "currency": "EUR"}, "stock": 1}
    product = (await mia.ask("POST", "/api/v1/products", json=body)).json()

    mine = await mia.ask("GET", "/api/v1/me")
    theirs = await other.ask("GET", "/api/v1/me")
    changed = await other.ask("PATCH", f"/api/v1/products/{product['id']}", json={"stock": 5})
    orders = await other.ask("GET", "/api/v1/orders")

    assert mine.json()["id"] != theirs.json()["id"]
    assert changed.status_code == 404
    assert mia.user["id"] not in orders.text


async def test_the_document_describes_every_operation(api):
    document = (await api.get("/schema/openapi.json")).json()

    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method not in ("get", "post", "patch", "delete", "put"):
                continue
            where = f"{method} {path}"
            assert operation["operationId"], where
            for status in ("400", "405", "408", "413", "415", "429", "500"):
                content = operation["responses"][status]["content"]
                assert list(content) == ["application/problem+json"], where
            if operation.get("security"):
                assert "401" in operation["responses"], where
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


async def test_connections_are_kept_alive_and_pipelined_requests_answered_in_order(cell):
    first = head("GET", "/health/live")
    last = head("GET", "/nowhere", "connection: close")

    reader, writer = await asyncio.open_connection("127.0.0.1", cell.config.api_port)
    writer.write(first + first + last)
    async with asyncio.timeout(5):
        raw = await reader.read(1 << 20)
        while raw.count(b"HTTP/1.1 ") < 3:
            raw += await reader.read(1 << 20)
    writer.close()

    assert [int(part[:3]) for part in raw.split(b"HTTP/1.1 ")[1:]] == [200, 200, 404]


async def test_hundreds_of_keep_alive_connections_are_served(cell):
    # Not with httpx: it needs longer to open them than the server waits for a request.
    async with Client(target_of(cell.api), 300) as client:
        answers = await asyncio.gather(*(client.call("GET", "/health/live", timeout=20) for _ in range(600)))

    assert {a.status for a in answers if isinstance(a, Response)} == {200}
    assert all(isinstance(a, Response) for a in answers)
