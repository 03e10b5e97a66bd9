"""A real nats-server of one test, which may kill, pause and restart it."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats

STREAM = {
    "name": "LOG",
    "subjects": ["log.>"],
    "storage": "file",
    "num_replicas": 1,
    "retention": "limits",
    "discard": "new",
    "allow_direct": True,
    "republish": {"src": "log.>", "dest": "stored.>", "headers_only": True},
}


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class NatsServer:
    """The server, with fsync on every write, and its stream as a cell has it, but deletable."""

    stream = STREAM

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "nats.conf"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        store = json.dumps(str(folder / "store"))
        self._config.write_text(
            f"listen: 127.0.0.1:{self._port}\njetstream {{ store_dir: {store}, sync_interval: always }}\n"
        )

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start, and return when JetStream answers."""
        binary = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
        self._process = subprocess.Popen(
            [binary, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 10
        while True:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self._port), 1) as probe,
            ):
                if probe.recv(4) == b"INFO":
                    return
            if time.monotonic() > end:
                raise TimeoutError(self._config.read_text())

    async def create_stream(self) -> None:
        """Make the stream of a cell."""
        client = await nats.connect(self.url)
        try:
            for _ in range(100):
                with contextlib.suppress(nats.errors.Error):
                    await client.request("$JS.API.STREAM.CREATE.LOG", json.dumps(STREAM).encode(), timeout=1)
                    return
        finally:
            await client.close()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def pause(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)


@contextlib.asynccontextmanager
async def running_nats(folder: Path) -> AsyncIterator[NatsServer]:
    """Run a server with an empty stream; it is gone afterwards, whatever state it is in."""
    server = NatsServer(folder)
    server.start()
    try:
        await server.create_stream()
        yield server
    finally:
        server.kill()
