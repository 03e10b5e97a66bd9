"""A listener with real sockets and a feed over a real nats-server."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from cells.tokens import Claims
from realtime.client import RealtimeClient
from realtime.codes import CloseCode
from realtime.desk import SPREAD_MS, DeskSettings
from realtime.latest import COALESCE_MS
from realtime.leave import Leave
from realtime.protocol import SUBPROTOCOL
from realtime.rate import Rate
from realtime.session import Limits
from realtime.shell_ws import Settings
from tests.integration.hub_cell import (
    ORIGIN,
    SOON,
    Cell,
    close_code,
    dial,
    greeted,
    hear,
    people,
    read_until,
    say,
    unlimited,
)
from tests.integration.nats_process import NatsProcess, eventually
from tests.unit.realtime.builders import OTHER, SALE, sale_shown

CHANNEL = f"sale:{SALE}"


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[NatsProcess]:
    async with NatsProcess(tmp_path) as process:
        yield process


@pytest.fixture
def settings() -> Settings:
    return Settings(origins=frozenset({ORIGIN}))


@pytest.fixture
def desk() -> DeskSettings:
    return DeskSettings("hub-1", Limits(hello_ms=400))


@pytest.fixture
def claims() -> dict[str, Claims]:
    return people()


@pytest.fixture
async def cell(server, settings, desk, claims) -> AsyncIterator[Cell]:
    async with Cell(server.url, settings, desk, claims) as running:
        yield running


async def status_of(cell: Cell, **options: Any) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as caught:
        await dial(cell, **options)
    return caught.value


# --- letting in ---


@pytest.mark.parametrize(
    ("options", "status"),
    (
        ({"subprotocols": None}, 400),
        ({"subprotocols": [Subprotocol("titan.v9.json")]}, 400),
        ({"origin": "https://evil.example"}, 403),
    ),
)
async def test_a_wrong_upgrade_is_refused(cell, options, status):
    assert (await status_of(cell, **options)).response.status_code == status


@pytest.mark.parametrize(("tail", "status"), (("?token=x", 400), ("?access_token=x", 400), ("/other", 404)))
async def test_a_wrong_address_is_refused(cell, tail, status):
    assert (await status_of(cell, url=cell.url + tail)).response.status_code == status


async def test_an_allowed_origin_is_let_in(cell):
    client = await greeted(cell, origin=ORIGIN)

    assert client.subprotocol == SUBPROTOCOL
    await client.close()


async def test_too_many_handshakes_are_told_when_to_come_back(server, settings, desk, claims):
    slow = msgspec.structs.replace(settings, handshakes=Rate(per_second=0.01, burst=2))
    async with Cell(server.url, slow, desk, claims) as cell:
        clients = [await dial(cell), await dial(cell)]
        refused = (await status_of(cell)).response

        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        for client in clients:
            await client.close()


async def test_a_full_hub_refuses_and_lets_in_again(server, settings, desk, claims):
    small = msgspec.structs.replace(settings, max_connections=1)
    async with Cell(server.url, small, desk, claims) as cell:
        first = await greeted(cell)

        assert (await status_of(cell)).response.status_code == 503
        await first.close()
        await eventually(lambda: cell.connections == 0)
        await (await greeted(cell)).close()


async def test_without_hello_in_time_the_connection_is_closed(cell):
    client = await dial(cell)
    await client.send("{}")

    assert await close_code(client) == CloseCode.UNAUTHENTICATED


# --- tokens ---


async def test_a_hello_with_a_token_is_welcomed(cell):
    client = await dial(cell)
    await say(client, "hello", {"token": "ada"})

    assert (await hear(client))["d"]["node"] == "hub-1"
    await client.close()


@pytest.mark.parametrize(
    ("token", "code"), (("nonsense", CloseCode.UNAUTHENTICATED), ("past", CloseCode.TOKEN_EXPIRED))
)
async def test_a_bad_token_closes(cell, token, code):
    client = await dial(cell)
    await say(client, "hello", {"token": token})

    assert await close_code(client) == code


async def test_a_token_that_expires_in_mid_stream_closes(cell):
    client = await greeted(cell, {"token": "brief"})
    started = time.monotonic()

    assert await close_code(client) == CloseCode.TOKEN_EXPIRED
    assert time.monotonic() - started < 2.5


async def test_the_ninth_socket_of_a_user_is_closed_and_a_place_is_given_back(cell):
    clients = [await greeted(cell, {"token": "ada"}) for _ in range(8)]
    ninth = await dial(cell)
    await say(ninth, "hello", {"token": "ada"})

    assert await close_code(ninth) == CloseCode.TOO_MANY_SOCKETS
    await clients.pop().close()
    clients.append(await greeted(cell, {"token": "ada"}))
    for client in clients:
        await client.close()


# --- what comes in ---


@pytest.mark.parametrize(
    ("frame", "code"),
    (
        ("garbage", CloseCode.BAD_FRAME),
        (b"\x00\xff", CloseCode.BAD_FRAME),
        ("[" * 10_000, CloseCode.BAD_FRAME),
        ("x" * (16 * 1024 + 1), CloseCode.TOO_BIG),
        ("x" * (64 * 1024 + 1), CloseCode.TOO_BIG),
    ),
    ids=("garbage", "binary", "deep", "17 KiB", "65 KiB"),
)
async def test_a_bad_frame_closes(cell, frame, code):
    client = await greeted(cell)
    await client.send(frame)

    assert await close_code(client) == code


async def test_a_frame_of_64_mib_is_refused_by_its_header(cell):
    client = await greeted(cell)
    sending = asyncio.create_task(client.send("x" * (64 << 20)))

    assert await close_code(client) == CloseCode.TOO_BIG
    await asyncio.gather(sending, return_exceptions=True)


async def test_text_that_is_no_utf8_closes(cell):
    client = await greeted(cell)
    await client.send(b'{"i":1,"t":"\xff"}', text=True)

    assert await close_code(client) == CloseCode.BAD_FRAME


async def test_a_fragmented_command_is_obeyed_and_too_many_fragments_are_too_big(cell):
    client = await greeted(cell)
    await client.send(list(json.dumps({"i": 9, "t": "dance"})))

    assert (await hear(client))["e"]["code"] == "unknown_command"
    await client.send(["x" * 8192] * 3)
    assert await close_code(client) == CloseCode.TOO_BIG


async def test_flooding_is_answered_and_then_closed(cell):
    client = await greeted(cell)
    for i in range(30):
        await say(client, "dance", {}, i)

    assert await close_code(client) == CloseCode.RATE


# --- channels ---


async def test_sub_answers_with_the_state_and_events_follow_it(cell):
    await cell.put(sale_shown(7, available=90))
    client = await greeted(cell)
    await say(client, "sub", {"ch": CHANNEL})
    reply = (await hear(client))["d"]
    await cell.put(sale_shown(9, available=80))
    event = await hear(client)

    assert (reply["epoch"], reply["top"], reply["snapshot"]["available"]) == ("e1", 7, 90)
    assert (event["n"], event["p"], event["s"], event["t"]) == (reply["n"], 7, 9, "sale")
    assert event["d"]["available"] == 80
    await client.close()


async def test_an_unknown_sale_is_not_found(cell):
    client = await greeted(cell)
    await say(client, "sub", {"ch": f"sale:{OTHER}"})

    assert (await hear(client))["e"] == {"code": "not_found", "temp": False}
    await client.close()


async def test_a_rush_is_coalesced_to_ten_a_second_and_ends_with_the_last_state(cell):
    await cell.put(sale_shown(1))
    client = await greeted(cell)
    await say(client, "sub", {"ch": CHANNEL})
    await hear(client)
    started, last = time.monotonic(), 1
    arrivals: list[float] = []
    event: dict[str, Any] = {}
    sending = asyncio.create_task(rush(cell, 600))
    while last < 600:
        event = await hear(client)
        arrivals.append(time.monotonic())

        assert event["p"] == last
        last = event["s"]
    await sending
    elapsed = time.monotonic() - started

    assert event["d"]["available"] == 600 % 100
    assert len(arrivals) <= elapsed / (COALESCE_MS / 1000) + 2
    assert len(arrivals) >= 3
    await client.close()


async def rush(cell: Cell, changes: int) -> None:
    for position in range(2, changes + 1):
        await cell.put(sale_shown(position, available=position % 100))
        await asyncio.sleep(0.001)


async def test_unsub_ends_the_events(cell):
    await cell.put(sale_shown(1))
    client = await greeted(cell)
    await say(client, "sub", {"ch": CHANNEL})
    n = (await hear(client))["d"]["n"]
    await say(client, "unsub", {"n": n}, 2)

    assert await hear(client) == {"r": 2, "d": {"n": n}}
    await cell.put(sale_shown(2))
    await say(client, "dance", {}, 3)
    assert (await hear(client))["r"] == 3
    await client.close()


# --- slow readers ---


async def test_a_reader_that_stands_still_is_closed_and_holds_nobody_up(server, settings, desk, claims):
    fast = msgspec.structs.replace(settings, send_buffer=4096)
    quick = msgspec.structs.replace(unlimited(desk), stuck_ms=500)
    async with Cell(server.url, fast, quick, claims) as cell:
        await cell.put(sale_shown(1))
        with await still_reader(cell) as stuck:
            async with RealtimeClient(cell.url) as lively:
                await lively.sub(CHANNEL)
                await flood_with_replies(cell, stuck)
                await cell.put(sale_shown(2))
                await read_until(lively, 2)
                await eventually(lambda: cell.connections == 1)


async def test_a_reader_that_was_slow_gets_the_newest_state_and_no_other(server, settings, desk, claims):
    small = msgspec.structs.replace(settings, send_buffer=4096)
    async with Cell(server.url, small, unlimited(desk), claims) as cell:
        await cell.put(sale_shown(1))
        with await still_reader(cell) as raw:
            await flood_with_replies(cell, raw)
            async with RealtimeClient(cell.url) as lively:
                await lively.sub(CHANNEL)
                for position in range(2, 7):
                    await cell.put(sale_shown(position))
                    await read_until(lively, position)
            received = b""
            async with asyncio.timeout(SOON):
                while b'"t":"sale"' not in received:
                    received += await asyncio.get_running_loop().sock_recv(raw, 65_536)

        assert received.partition(b'"t":"sale"')[0].endswith(b'"s":6,"p":1,')


async def still_reader(cell: Cell) -> socket.socket:
    """A client that upgraded, said hello and subscribed, and never reads again."""
    loop = asyncio.get_running_loop()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await loop.sock_connect(raw, ("127.0.0.1", cell.port))
    request = (
        f"GET /rt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    )
    await loop.sock_sendall(raw, request.encode())
    await loop.sock_recv(raw, 1024)
    await loop.sock_sendall(raw, masked('{"i":1,"t":"hello"}'))
    await loop.sock_sendall(raw, masked(json.dumps({"i": 2, "t": "sub", "d": {"ch": CHANNEL}})))
    # The channel is looked up while other commands are answered: only with the reply it is known where this one joined.
    received = b""
    async with asyncio.timeout(SOON):
        while b'"r":2' not in received:
            received += await loop.sock_recv(raw, 1024)
    return raw


async def flood_with_replies(cell: Cell, raw: socket.socket) -> None:
    """Fill the server's write buffer beyond its high-water mark, below its budget; return when it is."""
    frame = masked("[" + ",".join(['{"i":1,"t":"x"}'] * 1000) + "]")
    for _ in range(4):
        await asyncio.get_running_loop().sock_sendall(raw, frame)
    await eventually(lambda: any(peer.outbox.lagging for peer in cell.desk._peers))


def masked(text: str) -> bytes:
    payload = text.encode()
    head = bytes([0x81])
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return head + size + b"\0\0\0\0" + payload


# --- the end, and the client ---


async def test_draining_tells_everybody_when_to_come_back_and_lets_nobody_in(server, settings, desk, claims):
    async with Cell(server.url, settings, desk, claims) as cell:
        clients = [await greeted(cell) for _ in range(20)]
        started = time.monotonic()
        await cell.shell.drain(Leave(0, 0), 1.5)

        assert time.monotonic() - started < 2.0
        reasons = []
        for client in clients:
            assert await close_code(client) == CloseCode.DRAINING
            reasons.append(json.loads(client.close_reason or "")["retry_ms"])
        assert all(0 <= reason <= SPREAD_MS for reason in reasons)
        assert len(set(reasons)) > 5
        with pytest.raises(OSError, match="failed"):
            await dial(cell)


async def test_a_client_that_answers_no_close_does_not_hold_up_the_drain(server, settings, desk, claims):
    async with Cell(server.url, settings, desk, claims) as cell:
        await cell.put(sale_shown(1))
        with await still_reader(cell):
            started = time.monotonic()
            await cell.shell.drain(Leave(0, 0), 0.5)

            assert time.monotonic() - started < 1.0


async def test_the_client_comes_back_and_resumes_where_it_was(server, settings, desk, claims):
    async with Cell(server.url, settings, desk, claims) as cell:
        await cell.put(sale_shown(1))
        async with RealtimeClient(cell.url, chance=lambda: 0.0) as client:
            await client.sub(CHANNEL)
            await read_until(client, 1)
            await cell.desk.close_all(CloseCode.DRAINING, 0)
            await cell.put(sale_shown(5, available=42))
            updates = await read_until(client, 5)

            assert updates[-1].value["available"] == 42
            assert client.connects == 2
            assert client.closes == [CloseCode.DRAINING]


async def test_the_client_stops_after_a_close_for_good(server, settings, desk, claims):
    async with Cell(server.url, settings, desk, claims) as cell, RealtimeClient(cell.url) as client:
        await cell.desk.close_all(CloseCode.SESSION_REVOKED, 0)
        with pytest.raises(Exception, match="4501"):
            await read_until(client, 1)

        assert client.connects == 1
