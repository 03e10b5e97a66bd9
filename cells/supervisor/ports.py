"""TCP ports: which are free, and who holds one that is not."""

import contextlib
import random
import socket
from pathlib import Path

from cells.trouble import Trouble

# Below the range from which the kernel takes the ports of outgoing connections: a client that reconnects to a
# port of that range can connect to itself, and then the engine never gets its port back.
_LOWEST, _HIGHEST = 20_000, 32_000
_LISTEN = "0A"


def is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def choose(host: str, taken: set[int]) -> int:
    """A free port that is not in `taken`, to be kept for the life of a run."""
    for candidate in random.sample(range(_LOWEST, _HIGHEST), k=2000):
        if candidate not in taken and is_free(host, candidate):
            return candidate
    raise Trouble(f"No free port between {_LOWEST} and {_HIGHEST} on {host}.", "", "titan doctor")


def require(host: str, port: int) -> None:
    """Raise Trouble that names the holder where the port cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise Trouble(f"Port {port} may not be bound.", str(error), "titan up --port 8000") from error
        except OSError as error:
            if (holder := find_holder(port)) is not None:
                why = f"pid {holder[0]} ({holder[1]}) listens on it."
            else:
                why = f"{error.strerror}; the holder belongs to another user or is not visible from here."
            other = next((p for p in range(port + 1, min(port + 200, 65534)) if is_free(host, p)), port + 1)
            raise Trouble(
                f"Port {port} on {host} is in use.", why, f"titan up --port {other}    (or stop that process)"
            ) from error


def find_holder(port: int) -> tuple[int, str] | None:
    """Pid and command of the process that listens on the port, as far as this user may see it."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                field = line.split()
                if field[3] == _LISTEN and int(field[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{field[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return int(process.name), command_of(process)
    return None


def command_of(process: Path) -> str:
    words = (process / "cmdline").read_bytes().split(b"\0")
    text = " ".join(word.decode(errors="replace") for word in words if word)
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown if len(shown) <= 80 else shown[:77] + "…"
