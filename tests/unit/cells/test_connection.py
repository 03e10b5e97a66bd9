"""A NATS connection whose server accepts and says nothing, as one that stands still does."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator

import pytest

from cells.log import connection

SOON = 15.0
INFO = b'INFO {"server_id":"s","version":"2.15.1","max_payload":1048576,"headers":true,"proto":1}\r\n'


class Server:
    """Greets and answers pings while it is `awake`."""

    def __init__(self) -> None:
        self.awake = True
        self.url = ""
        self.accepted = 0
        self.open: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open.add(writer)
        self._changed.set()
        try:
            if self.awake:
                writer.write(INFO)
            while line := await reader.readline():
                if self.awake and line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
        except OSError:
            pass
        finally:
            self.open.discard(writer)
            self._changed.set()
            writer.close()

    async def until_accepted(self, count: int) -> None:
        async with asyncio.timeout(SOON):
            while self.accepted < count:
                self._changed.clear()
                await self._changed.wait()

    async def until_open(self, count: int) -> None:
        async with asyncio.timeout(SOON):
            while len(self.open) != count:
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.attend, "127.0.0.1", 0)
    made.url = f"nats://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield made
    for writer in made.open:
        writer.close()
    listening.close()
    await listening.wait_closed()


async def test_a_server_that_accepts_and_stays_silent_is_asked_again_and_nothing_is_left_open(server):
    again = asyncio.Event()

    async def reconnected() -> None:
        again.set()

    client = await connection.connect(server.url, "test", on_reconnect=reconnected, timeout=1.0)
    server.awake = False
    for writer in list(server.open):
        writer.close()
    await server.until_accepted(4)
    gc.collect()  # a connection that was forgotten open says so here
    await server.until_open(1)

    server.awake = True
    async with asyncio.timeout(SOON):
        await again.wait()
    assert client.is_connected
    await server.until_open(1)
    with contextlib.suppress(TimeoutError):
        await connection.close(client)
