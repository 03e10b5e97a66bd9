"""A hub of a test in a process of its own, to be killed: `python -m tests.integration.hub_process NATS PORT NODE`.

Prints its port when it listens. SIGTERM drains it as the role does.
"""

import asyncio
import signal
import sys
from typing import Self

import uvloop

from realtime.desk import DeskSettings
from realtime.leave import Leave
from realtime.session import Limits
from realtime.shell_ws import Settings
from tests.integration.hub_cell import Cell, people


async def run(url: str, port: int, node: str) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    desk = DeskSettings(node, Limits(rates=False))
    settings = Settings(frozenset(), handshakes=None)
    async with Cell(url, settings, desk, people(), hub_only=True, port=port) as cell:
        sys.stdout.write(f"{cell.port}\n")
        sys.stdout.flush()
        await stopping.wait()
        await cell.shell.drain(Leave(1_200, 500), 0.8)


class HubProcess:
    """Such a process, as an async context."""

    def __init__(self, url: str, node: str, port: int = 0) -> None:
        self._arguments = (url, node)
        self.port = port
        self._child: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/rt"

    async def __aenter__(self) -> Self:
        url, node = self._arguments
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.hub_process", url, str(self.port), node),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._child.stdout is not None
        self.port = int(await asyncio.wait_for(self._child.stdout.readline(), 20))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.signal(signal.SIGKILL)
        await self._child.wait()

    def signal(self, number: int) -> None:
        if self._child.returncode is None:
            self._child.send_signal(number)

    async def ended(self) -> int:
        return await asyncio.wait_for(self._child.wait(), 20)


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
