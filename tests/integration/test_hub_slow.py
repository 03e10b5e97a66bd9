"""Readers that are slow or gone: bounded memory, the right close, and nothing lost to those who come back."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.client_channels import Place
from realtime.codes import CloseCode
from realtime.desk import DeskSettings
from realtime.outbox import BUDGET
from realtime.session import Limits
from realtime.shell_ws import Settings
from tests.integration.hub_cell import SOON, Cell, as_, ask, close_code, dial, greeted, people
from tests.integration.nats_process import NatsProcess, eventually
from tests.unit.realtime.builders import ROOM

LARGE = 4_000


@pytest.fixture
async def cell(tmp_path) -> AsyncIterator[Cell]:
    desk = DeskSettings("hub-1", Limits(rates=False), stuck_ms=2_000)
    settings = Settings(frozenset(), send_buffer=4096)
    async with NatsProcess(tmp_path) as server, Cell(server.url, settings, desk, people()) as running:
        yield running


def put(cell: Cell, i: int, size: int = LARGE) -> None:
    cell.feature.memory.put(ROOM, "msg", json.dumps({"text": f"m{i}", "pad": "x" * size}).encode())


def small_buffer() -> dict[str, Any]:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    return {"sock": raw}


async def test_a_reader_that_never_reads_is_closed_at_its_budget_and_others_get_everything(cell):
    options = small_buffer()
    await asyncio.get_running_loop().sock_connect(options["sock"], ("127.0.0.1", cell.port))
    stuck = await greeted(cell, **options)
    await ask(stuck, "sub", {"ch": ROOM})
    stuck.transport.pause_reading()
    [peer] = cell.desk._peers
    largest = 0
    async with as_(cell) as lively:
        await lively.sub(ROOM)
        seen: list[str] = []
        for i in range(300):
            put(cell, i)
            if i % 5 == 0:
                await asyncio.sleep(0.002)
            if not peer.session.closed:
                largest = max(largest, peer.wire.buffered())
        async with asyncio.timeout(SOON):
            async for update in lively.updates():
                if update.t == "msg":
                    seen.append(update.value["text"])
                if len(seen) == 300:
                    break

        assert seen == [f"m{i}" for i in range(300)]
        assert largest <= BUDGET
        assert peer.session.closed
        await eventually(lambda: cell.connections == 1)
    stuck.transport.resume_reading()
    # Cut after its grace, it may not get as far as the close frame behind what it did not read.
    assert await close_code(stuck) in {CloseCode.SLOW, 1006}


async def test_who_was_too_slow_comes_back_to_all_it_missed(cell):
    async with as_(cell, chance=lambda: 0.0) as client:
        await client.sub(ROOM)
        assert client._link is not None
        wire = client._link._connection
        wire.transport.pause_reading()
        for i in range(3_000):
            put(cell, i)
            if i % 5 == 0:
                await asyncio.sleep(0)
        await eventually(lambda: cell.connections == 0)
        wire.transport.resume_reading()
        seen: list[str] = []
        async with asyncio.timeout(4 * SOON):
            async for update in client.updates():
                if update.t == "msg":
                    seen.append(update.value["text"])
                if len(seen) == 3_000:
                    break

        assert seen == [f"m{i}" for i in range(3_000)]
        assert client.connects == 2


async def test_a_big_backlog_is_written_as_fast_as_it_is_taken_and_no_faster(cell):
    """Several megabytes behind a slow but steady reader: never over the budget, never closed."""
    for i in range(1_500):
        put(cell, i)
    async with as_(cell) as client:
        client._places.by_name[ROOM] = Place(0, "e1", 0)
        await client.sub(ROOM)
        [peer] = cell.desk._peers
        largest = count = 0
        async with asyncio.timeout(4 * SOON):
            async for update in client.updates():
                count += update.t == "msg"
                largest = max(largest, peer.wire.buffered())
                if count % 100 == 0:
                    await asyncio.sleep(0.01)
                if count == 1_500:
                    break

        assert client.closes == []
        assert largest <= BUDGET


async def test_a_client_that_is_gone_without_a_word_costs_nothing_after_its_close(cell):
    client = await dial(cell)
    client.transport.abort()

    await eventually(lambda: cell.connections == 0)
    assert cell.shell._census.present == 0
