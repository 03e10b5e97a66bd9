"""Real engines without a supervisor, for tests that break them on purpose."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

from cells.supervisor import stream
from cells.supervisor.engines.nats import Nats
from cells.supervisor.engines.port import Engine
from cells.supervisor.engines.postgres import Postgres
from cells.supervisor.layout import Layout, Sockets

READY_SECONDS = 30.0


class Running:
    """One engine as a child of the test."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        launch = await self.engine.prepare()
        self._process = await asyncio.create_subprocess_exec(
            *launch.command,
            env={**launch.environment, "TITAN_PARENT_PID": str(os.getpid())},
            cwd=launch.folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                return await self.engine.probe()
            except (OSError, TimeoutError, EOFError):
                if time.monotonic() > end or self._process.returncode is not None:
                    raise
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        await self.stop(signal.SIGKILL)

    async def stop(self, number: int | None = None) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(number or self.engine.stop_signal)
        await asyncio.wait_for(self._process.wait(), READY_SECONDS)


class Engines:
    """The log and the database of one cell."""

    def __init__(self, layout: Layout, nats: Nats, postgres: Postgres) -> None:
        self.layout = layout
        self.nats_url = nats.url
        self.admin_url = nats.admin_url
        self.nats = Running(nats)
        self.database_url = postgres.url
        self.postgres = Running(postgres)


@contextlib.asynccontextmanager
async def engines(data: Path) -> AsyncIterator[Engines]:
    layout = Layout(data)
    layout.make()
    sockets = Sockets(layout)
    found = Engines(layout, Nats(layout, 1 << 30), Postgres(layout, sockets))
    try:
        await asyncio.gather(found.nats.start(), found.postgres.start())
        fence = await stream.ensure(layout, found.admin_url, 1 << 30)
        assert not fence
        yield found
    finally:
        await asyncio.gather(found.nats.stop(), found.postgres.stop())
        sockets.remove()
