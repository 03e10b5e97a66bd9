"""A real valkey-server of one test, on a socket of its own."""

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cells.supervisor.engines.valkey import binary


@contextlib.contextmanager
def running_valkey() -> Iterator[str]:
    """Yield its URL. The folder's path is short, for socket paths are."""
    with tempfile.TemporaryDirectory(prefix="vk-") as folder:
        path = Path(folder) / "s"
        process = subprocess.Popen(
            [str(binary()), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            end = time.monotonic() + 10
            while not _answers(path):
                assert time.monotonic() < end, "valkey-server did not start"
            yield f"unix://{path}"
        finally:
            process.kill()
            process.wait()


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        probe.connect(str(path))
        probe.sendall(b"PING\r\n")
        return probe.recv(5) == b"+PONG"
    return False
