"""Server-sent events from a real listener: the same session on another wire."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from realtime.codes import CloseCode
from realtime.desk import DeskSettings
from realtime.leave import Leave
from realtime.session import Limits
from realtime.shell_ws import Settings
from tests.integration.hub_cell import ORIGIN, SOON, Cell, people
from tests.integration.nats_process import NatsProcess, eventually
from tests.unit.realtime.builders import CHAT, OTHER, ROOM, SALE, sale_shown

CHANNEL = f"sale:{SALE}"


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[NatsProcess]:
    async with NatsProcess(tmp_path) as process:
        yield process


@pytest.fixture
async def cell(server) -> AsyncIterator[Cell]:
    desk = DeskSettings("hub-1", Limits(rates=False), stuck_ms=500)
    async with Cell(server.url, Settings(frozenset({ORIGIN}), send_buffer=4096), desk, people()) as running:
        yield running


class Source:
    """An EventSource by hand: the fields of the events as they come, and the last id."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.last_id = ""
        self.retry = 0

    @classmethod
    async def open(cls, cell: Cell, target: str, **headers: str) -> "Source":
        reader, writer = await asyncio.open_connection("127.0.0.1", cell.port)
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        source = cls(reader, writer)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).decode()
        status, *fields = head.strip().split("\r\n")
        source.status = int(status.split()[1])
        source.headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}
        return source

    async def event(self) -> tuple[str, Any]:
        """The next event that has data: its type and what the data says."""
        kind, data = "message", ""
        while True:
            line = (await asyncio.wait_for(self._reader.readline(), SOON)).decode()
            assert line, "the response has ended"
            name, _, value = line.rstrip("\n").partition(": ")
            match name:
                case "event":
                    kind = value
                case "data":
                    data += value
                case "id":
                    self.last_id = value
                case "retry":
                    self.retry = int(value)
                case "" if data:
                    return kind, json.loads(data)

    async def frames(self, count: int) -> list[Any]:
        """The next events of channels, arrays taken apart."""
        found: list[Any] = []
        while len(found) < count:
            _, frame = await self.event()
            found += [each for each in (frame if isinstance(frame, list) else [frame]) if "s" in each]
        return found

    async def ended(self) -> None:
        await asyncio.wait_for(self._reader.read(), SOON)
        self.close()

    def close(self) -> None:
        self.writer.close()


async def test_a_sale_is_followed_and_the_id_is_the_place_to_resume_from(cell):
    await cell.put(sale_shown(7, available=90))
    source = await Source.open(cell, f"/sse?ch={CHANNEL}", Origin=ORIGIN)
    welcome, state = await source.event(), await source.event()

    assert source.status == 200
    assert source.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert source.headers["x-accel-buffering"] == "no"
    assert source.headers["access-control-allow-origin"] == ORIGIN
    assert welcome[1]["d"]["node"] == "hub-1"
    assert state[1]["d"]["snapshot"]["available"] == 90
    await cell.put(sale_shown(9, available=80))
    [event] = await source.frames(1)
    assert (event["p"], event["s"], event["d"]["available"]) == (7, 9, 80)
    assert source.last_id == "e1/9"
    source.close()
    await eventually(lambda: cell.connections == 0)


async def test_a_reconnect_with_the_last_id_gets_what_was_missed_and_nothing_twice(cell):
    for i in range(3):
        cell.feature.memory.put(ROOM, "msg", json.dumps({"text": f"m{i}"}).encode())
    source = await Source.open(cell, f"/sse?ch={ROOM}")
    await source.event()
    await source.event()
    cell.feature.memory.put(ROOM, "msg", b'{"text":"m3"}')
    assert [each["s"] for each in await source.frames(1)] == [40]
    source.close()
    for i in range(4, 400):
        cell.feature.memory.put(ROOM, "msg", json.dumps({"text": f"m{i}"}).encode())
    again = await Source.open(cell, f"/sse?ch={ROOM}", Last_Event_ID=source.last_id)
    missed = await again.frames(396)

    assert [each["d"]["text"] for each in missed] == [f"m{i}" for i in range(4, 400)]
    await eventually(lambda: again.last_id == "e1/4000")
    again.close()


async def test_a_reconnect_in_the_middle_of_what_was_missed_goes_on_there(cell):
    for i in range(1, 3_001):
        cell.feature.memory.put(ROOM, "msg", json.dumps({"text": f"m{i}", "pad": "x" * 200}).encode())
    seen: list[int] = []
    last = "e1/0"
    while not seen or seen[-1] != 30_000:
        source = await Source.open(cell, f"/sse?ch={ROOM}", Last_Event_ID=last)
        await source.event()
        await source.event()
        seen += [each["s"] for each in await source.frames(1_000)]
        last = source.last_id
        # What was read but not counted by its id comes again, as an EventSource would have it.
        seen = [s for s in seen if s <= int(last.partition("/")[2])]
        source.close()

    assert seen == [10 * i for i in range(1, 3_001)]


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    (
        ("/sse", {}, 400),
        ("/sse?ch=sale:x", {}, 400),
        (f"/sse?ch={CHANNEL}&ch={ROOM}", {}, 400),
        (f"/sse?ch={CHAT}", {}, 403),
        ("/sse?ch=me", {}, 403),
        (f"/sse?ch={CHANNEL}&token=x", {}, 400),
        (f"/sse?ch={CHANNEL}", {"Origin": "https://evil.example"}, 403),
        ("/sse/other", {}, 404),
    ),
)
async def test_a_wrong_request_is_refused(cell, target, headers, status):
    source = await Source.open(cell, target, **headers)

    assert source.status == status
    await source.ended()


async def test_an_unknown_sale_is_told_so(cell):
    source = await Source.open(cell, f"/sse?ch=sale:{OTHER}")
    await source.event()

    assert (await source.event())[1]["e"]["code"] == "not_found"
    source.close()


async def test_draining_is_told_as_goaway_and_then_as_close(cell):
    await cell.put(sale_shown(7))
    source = await Source.open(cell, f"/sse?ch={CHANNEL}")
    for _ in range(2):
        await source.event()
    draining = asyncio.create_task(cell.shell.drain(Leave(200, 100), 1.0))

    assert (await source.event())[1] == {"t": "goaway", "d": {"deadline_ms": 200, "spread_ms": 100}}
    kind, said = await source.event()
    assert (kind, said["code"]) == ("close", CloseCode.DRAINING)
    assert source.retry == 2_000 + said["retry_ms"]
    await source.ended()
    await draining


async def test_a_stream_that_nobody_reads_is_closed_and_holds_nobody_up(cell):
    cell.feature.memory.put(ROOM, "msg", b'{"text":"x"}')
    stuck = await Source.open(cell, f"/sse?ch={ROOM}", Last_Event_ID="e1/0")
    reading = stuck.writer.transport
    assert isinstance(reading, asyncio.Transport)
    reading.pause_reading()
    await eventually(lambda: cell.connections == 1)
    big = json.dumps({"text": "x" * 4_000}).encode()
    for _ in range(400):
        cell.feature.memory.put(ROOM, "msg", big)
        await asyncio.sleep(0)

    await eventually(lambda: cell.connections == 0)
    stuck.close()


async def test_limits_of_connections_and_heads_are_those_of_the_listener(cell, server):
    small = msgspec.structs.replace(Settings(frozenset()), max_connections=1)
    async with Cell(server.url, small, DeskSettings("hub-2"), people(), hub_only=True) as full:
        first = await Source.open(full, f"/sse?ch={ROOM}")
        second = await Source.open(full, f"/sse?ch={ROOM}")

        assert (second.status, second.headers["retry-after"]) == (503, "1")
        first.close()
        second.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", cell.port)
    writer.write(b"GET /sse HTTP/1.1\r\nX: " + b"x" * 20_000)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)
    writer.close()
