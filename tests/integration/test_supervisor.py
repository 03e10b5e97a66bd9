"""A cell on real engines under a real supervisor: it starts, heals, drains, and leaves nothing behind."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import nats
import nats.errors
import psutil
import pytest
from nats.aio.client import Client
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from cells.config import CellConfig
from cells.settings import HOME
from cells.supervisor import ports
from cells.supervisor.accounts import unprivileged
from cells.supervisor.control import Request, ask
from cells.supervisor.engines import placement, postgres
from cells.supervisor.engines.placement import candidates, remove_outside
from cells.supervisor.layout import Layout
from cells.supervisor.status import CellStatus, ProcessStatus, Status

START_SECONDS = 60.0
PROCESSES = {"nats", "valkey", "postgres", "api", "writer", "hub", "projector", "observer"}


class Run:
    """A supervisor in a process of its own, and every process that it ever had."""

    def __init__(self, data: Path, port: int | None, *changes: str) -> None:
        self.layout = Layout(data)
        self.port = port or ports.choose("127.0.0.1", set())
        data.parent.mkdir(exist_ok=True)
        self.output = data.with_name(data.name + ".out")
        self.family: dict[int, psutil.Process] = {}
        command = [
            sys.executable,
            "-P",
            "-m",
            "tests.integration.supervised",
            str(data),
            str(self.port),
            *changes,
        ]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=HOME, env={**os.environ, "PYTHONPATH": str(HOME)}
            )

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def status(self) -> Status | None:
        answer = ask(self.layout, Request("status"))
        return answer.status if answer else None

    def until(self, met: Callable[[CellStatus], bool], seconds: float = START_SECONDS) -> CellStatus:
        """Wait for a state of the cell; fails with what the supervisor said where it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.status()
            if status is not None:
                self.remember()
                if met(status.cells[0]):
                    return status.cells[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        pytest.fail(f"not in {seconds:.0f} s\n{self.status()}\n{self.said()}")

    def until_serving(self) -> CellStatus:
        return self.until(lambda cell: cell.state == "serving")

    def remember(self) -> None:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self.family[child.pid] = child

    def survivors(self, seconds: float = 3.0) -> list[psutil.Process]:
        """Whoever of the family is alive after that time; a zombie only waits for init to count it."""
        deadline = time.monotonic() + seconds
        while (
            alive := [member for member in self.family.values() if is_alive(member)]
        ) and time.monotonic() < deadline:
            time.sleep(0.02)
        return alive

    def config(self) -> CellConfig:
        return msgspec.json.decode(self.layout.config.read_bytes(), type=CellConfig)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.remember()
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def attempt(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(HOME), **environment},
    )


def named(cell: CellStatus, name: str) -> ProcessStatus:
    return next(process for process in cell.processes if process.name == name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account can enter, as a clone in a home folder is not."""
    made = Path(tempfile.mkdtemp(prefix="titan-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def start(folder) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(*changes: str, data: Path | None = None, port: int | None = None) -> Run:
        runs.append(Run(data or folder / "data", port, *changes))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait(5)
        remove_outside(run.layout)


def test_a_cell_starts_says_how_it_is_and_stops_when_told(start):
    """Given an empty folder, the cell serves in seconds; `down` ends every process."""
    run = start()
    cell = run.until_serving()
    status = run.status()

    assert status is not None
    assert status.ready
    assert status.fsync == "always"
    assert {process.name for process in cell.processes} == PROCESSES
    # The observer is started when the cell serves already.
    run.until(lambda cell: all(process.pid and process.rss for process in cell.processes))
    shape = msgspec.to_builtins(status)
    assert set(shape) == {"ready", "edge", "data", "fsync", "cells"}
    assert set(shape["cells"][0]) == {"id", "state", "slots", "api", "realtime", "processes"}
    assert shape["cells"][0]["slots"] == ((0, 4095),)
    assert cell.api == status.edge == f"http://127.0.0.1:{run.port}"
    assert cell.realtime == f"ws://127.0.0.1:{run.port + 1}/rt"

    ask(run.layout, Request("down"))

    assert run.process.wait(6) == 0
    assert run.survivors() == []
    assert run.status() is None
    assert "Ready in" in run.said()


def test_a_second_start_finds_the_log_and_the_tables_of_the_first(start):
    first = start()
    first.until_serving()
    genesis = first.layout.genesis.read_bytes()
    first.stop()

    second = start()
    second.until_serving()

    assert second.layout.genesis.read_bytes() == genesis


def test_a_killed_process_is_started_again_and_counted(start):
    """One after the other, each process of a cell is killed; only that one is started again, and the cell serves."""
    run = start()
    cell = run.until_serving()
    restarts = dict.fromkeys(PROCESSES, 0)

    for name in ("writer", "api", "nats", "valkey", "postgres"):
        before = named(cell, name)
        os.kill(before.pid, signal.SIGKILL)
        restarts[name] = 1
        cell = run.until(
            lambda cell, name=name: named(cell, name).restarts == 1 and cell.state == "serving", 20
        )

        assert named(cell, name).pid != before.pid
        assert {process.name: process.restarts for process in cell.processes} == restarts


def test_a_hub_leaves_when_the_next_one_serves_and_stays_when_that_does_not_start(start):
    """It may take its time to leave; meanwhile the cell has the next one, and serves."""
    run = start("hub=lingering")
    first = named(run.until_serving(), "hub").pid

    ask(run.layout, Request("restart", "hub"))
    cell = run.until(lambda cell: named(cell, "hub").pid != first, 20)
    second = named(cell, "hub")
    assert (second.state, second.restarts, cell.state) == ("running", 1, "serving")
    assert is_alive(run.family[first])

    (run.layout.cell / "leave").touch()
    run.until(lambda _: not is_alive(run.family[first]), 10)

    (run.layout.cell / "broken").touch()
    ask(run.layout, Request("restart", "hub"))
    cell = run.until(lambda _: "did not start, so the last one stays" in run.said(), 20)
    assert (named(cell, "hub"), cell.state) == (
        msgspec.structs.replace(second, rss=named(cell, "hub").rss),
        "serving",
    )


def test_a_stop_while_a_hub_leaves_ends_both(start):
    run = start("hub=lingering")
    first = named(run.until_serving(), "hub").pid
    ask(run.layout, Request("restart", "hub"))
    run.until(lambda cell: named(cell, "hub").pid != first, 20)

    assert run.stop() == 0
    assert run.survivors(0.5) == []


def test_nats_comes_back_at_the_same_address(start):
    """The others reconnect to it; none of them is told another address."""
    run = start()
    cell = run.until_serving()
    url = run.config().nats_url

    os.kill(named(cell, "nats").pid, signal.SIGKILL)
    run.until(lambda cell: named(cell, "nats").restarts == 1 and cell.state == "serving", 20)

    async def ask_log() -> bytes:
        connection = await nats.connect(url, allow_reconnect=False)
        answer = await connection.request("$JS.API.STREAM.INFO.LOG", b"", timeout=5)
        await connection.close()
        return bytes(answer.data)

    assert "error" not in json.loads(asyncio.run(ask_log()))


def test_a_killed_supervisor_leaves_no_process(start):
    run = start()
    run.until_serving()
    run.remember()
    assert len(run.family) > len(PROCESSES)

    run.process.kill()

    assert run.survivors() == []


def test_after_a_killed_supervisor_the_next_one_serves(start):
    run = start()
    run.until_serving()
    run.process.kill()
    run.process.wait(5)

    start().until_serving()


def test_ctrl_c_ends_everything_within_five_seconds(start):
    """Also where a role takes no notice of it."""
    run = start("writer=deaf")
    run.until_serving()
    run.remember()
    began = time.monotonic()

    code = run.stop()

    assert time.monotonic() - began < 5.5
    assert code == 0
    assert run.survivors(0.5) == []


def test_ctrl_c_twice_ends_everything_at_once(start):
    run = start("api=deaf", "writer=deaf", "hub=deaf", "projector=deaf")
    run.until_serving()
    run.remember()
    began = time.monotonic()

    run.process.send_signal(signal.SIGINT)
    run.until(lambda cell: cell.state == "draining", 2)
    run.process.send_signal(signal.SIGINT)
    run.process.wait(5)

    assert time.monotonic() - began < 2.5
    assert run.survivors(0.5) == []


def test_a_stop_in_the_middle_of_the_start_leaves_nothing(start):
    run = start()
    run.until(lambda cell: bool(cell.processes))
    run.remember()

    assert run.stop() == 1
    assert run.survivors() == []


def test_a_taken_port_names_its_holder(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        data = str(folder / "data")
        tried = attempt("tests.integration.supervised", data, str(port))

    assert tried.returncode == 1
    assert f"pid {os.getpid()} (" in tried.stdout
    assert "titan up --port" in tried.stdout


def test_realtime_takes_a_free_port_where_the_next_one_is_taken(start):
    port = ports.choose("127.0.0.1", set())
    with socket.create_server(("127.0.0.1", port + 1)):
        realtime = start(port=port).until_serving().realtime

    assert realtime.startswith("ws://127.0.0.1:")
    assert str(port + 1) not in realtime


def test_a_second_start_on_the_same_data_says_who_runs(start):
    run = start()
    run.until_serving()

    second = attempt("cells.cli", "up", "--data", str(run.layout.data), "--port", "29999")

    assert second.returncode == 1
    assert f"pid {run.process.pid}" in second.stderr
    assert "titan status" in second.stderr
    assert run.status() is not None


def test_a_missing_log_is_a_fence_and_is_never_made_anew(start):
    """Given a cell that had a log and lost it, it answers why it takes no orders, and the loss stays visible."""
    first = start()
    first.until_serving()
    genesis = first.layout.genesis.read_bytes()
    first.stop()
    shutil.rmtree(first.layout.nats / "jetstream")

    run = start()
    cell = run.until(
        lambda cell: (
            all(process.state in {"running", "standby", "fenced"} for process in cell.processes)
            and len(cell.processes) == len(PROCESSES)
        )
    )
    status = run.status()

    assert cell.state == "fenced"
    assert "missing" in cell.reason
    assert status is not None
    assert not status.ready
    assert named(cell, "api").state == "running"
    assert run.layout.genesis.read_bytes() == genesis
    with socket.create_connection(("127.0.0.1", run.port), 2) as connection:
        connection.sendall(b"GET /health/ready HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP")
    run.until(lambda _: "FENCED" in run.said(), 10)


def test_a_log_that_was_lost_with_its_genesis_is_a_fence_because_of_the_marks(start):
    first = start()
    first.until_serving()
    first.stop()
    shutil.rmtree(first.layout.nats / "jetstream")
    first.layout.genesis.unlink()
    (first.layout.marks / "log").write_bytes(b"a mark")

    assert start().until(lambda cell: bool(cell.reason)).state == "fenced"


def test_another_log_in_place_of_the_cells_own_is_a_fence(start):
    first = start()
    first.until_serving()
    kept = first.layout.genesis.read_bytes()
    first.stop()
    shutil.rmtree(first.layout.nats / "jetstream")
    first.layout.genesis.unlink()
    second = start()
    second.until_serving()
    second.stop()
    second.layout.genesis.write_bytes(kept)

    assert "was made at" in start().until(lambda cell: bool(cell.reason)).reason


def test_a_lost_database_is_made_again_while_the_cell_runs(start):
    run = start()
    before = run.until_serving()
    data = Path(psutil.Process(named(before, "postgres").pid).cwd())

    shutil.rmtree(data)
    os.kill(named(before, "postgres").pid, signal.SIGKILL)
    cell = run.until(
        lambda cell: (
            named(cell, "projector").restarts == 1
            and named(cell, "postgres").restarts >= 1
            and cell.state == "serving"
        ),
        30,
    )

    assert named(cell, "writer").restarts == 0


def test_a_damaged_database_is_thrown_away_and_made_again(start):
    first = start()
    before = first.until_serving()
    data = Path(psutil.Process(named(before, "postgres").pid).cwd())
    first.stop()
    (data / "global" / "pg_control").write_bytes(b"damaged")

    start().until_serving()


def test_a_role_that_cannot_start_ends_the_start_with_its_reason(start):
    run = start("hub=broken")

    assert run.process.wait(START_SECONDS) == 1
    assert "this role is broken" in run.said()
    assert "titan logs hub" in run.said()
    assert run.survivors() == []


def test_an_observer_that_does_not_start_is_no_fault_of_the_cell(start):
    run = start("observer=broken")
    run.until_serving()
    cell = run.until(lambda cell: named(cell, "observer").state == "crash-loop")
    status = run.status()

    assert cell.state == "serving"
    assert status is not None
    assert status.ready
    assert named(cell, "observer").detail == "observer ended with exit code 1."


def test_a_long_path_gets_short_sockets(start, folder):
    """The address of a Unix socket holds about 100 bytes; the sockets' folders go with the run."""
    run = start(data=folder / ("long" * 30) / "data")
    run.until_serving()
    used = Path(run.config().redis_url.rpartition("@")[2])
    assert len(str(used)) < 100
    assert used.exists()

    run.stop()

    assert not used.parent.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs postgres as somebody else")
def test_below_a_closed_folder_postgres_gets_a_place_of_its_own(start, folder):
    """Given a clone that the engine's account cannot enter, nothing that exists is opened up for it."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    run = start(data=closed / "data")
    cell = run.until_serving()
    account = unprivileged()

    assert account is not None
    assert psutil.Process(named(cell, "postgres").pid).uids().real == account.uid
    assert psutil.Process(named(cell, "postgres").pid).gids().effective == account.gid
    assert closed.stat().st_mode & 0o777 == 0o700
    assert f"{closed}: its files are in" in run.said()
    outside = [path for path in candidates(run.layout) if path.exists()]
    assert len(outside) == 1
    run.stop()

    assert remove_outside(run.layout) == outside
    assert not outside[0].exists()


@pytest.fixture(scope="module")
def credentials() -> Iterator[CellConfig]:
    """The addresses and credentials of one cell, for the tests that only read."""
    with tempfile.TemporaryDirectory(prefix="titan-test-") as made:
        run = Run(Path(made) / "data", None)
        run.until_serving()
        yield run.config()
        run.stop()
        remove_outside(run.layout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs postgres as somebody else")
def test_programs_that_the_account_cannot_read_run_from_a_copy(folder):
    """Given an installation below a closed folder, as in a clone in root's home, a copy works for the account."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    source = postgres.installation()
    placement.copy_programs(source, closed / "packages")
    for path in (closed / "packages").rglob("*"):
        path.chmod(0o700)
    account = unprivileged()
    assert account is not None

    placement.copy_programs(closed / "packages" / source.parent.name / source.name, folder / "copy")
    program = folder / "copy" / source.parent.name / source.name / "bin" / "initdb"
    data = folder / "pg"
    data.mkdir()
    os.chown(data, account.uid, account.gid)
    made = subprocess.run(
        [program, "-D", data, "--no-sync", "--auth=reject"],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        env={"LC_ALL": "C"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode == 0, made.stderr
    assert (data / "PG_VERSION").exists()


def test_the_application_can_neither_delete_nor_purge_nor_look_elsewhere(credentials):

    async def denied(subject: str) -> bool:
        errors: list[Exception] = []

        async def note(error: Exception) -> None:
            errors.append(error)

        connection = await nats.connect(credentials.nats_url, allow_reconnect=False, error_cb=note)
        with contextlib.suppress(nats.errors.Error):
            await connection.request(subject, b"{}", timeout=0.5)
        await connection.close()
        return any("permissions violation" in str(error).lower() for error in errors)

    for subject in (
        "$JS.API.STREAM.DELETE.LOG",
        "$JS.API.STREAM.PURGE.LOG",
        "$JS.API.STREAM.UPDATE.LOG",
        "$JS.API.STREAM.MSG.DELETE.LOG",
        "$JS.API.STREAM.CREATE.OTHER",
        "$SYS.REQ.SERVER.PING",
        "elsewhere",
    ):
        assert asyncio.run(denied(subject)), subject


def test_nobody_gets_in_without_a_password(credentials):

    async def anonymous() -> None:
        client = Client()
        try:
            await client.connect(
                f"nats://{credentials.nats_url.rpartition('@')[2]}", allow_reconnect=False, error_cb=ignore
            )
        finally:
            await client.close()
            await asyncio.sleep(0)  # the transport says goodbye in the next turn

    async def ignore(_error: Exception) -> None:
        """It is raised as well."""

    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        asyncio.run(anonymous())


def test_the_gate_runs_our_scripts_on_the_cells_keys_and_nothing_else(credentials):

    async def use() -> list[str]:
        client = Redis.from_url(credentials.redis_url)
        script = await client.script_load("return redis.call('INCR', KEYS[1])")
        assert await client.evalsha(script, 1, "c1:x") == 1
        assert await client.hgetall("c1:nothing") == {}
        refused = []
        for words in (
            ("EVAL", "return 1", "0"),
            ("CONFIG", "GET", "*"),
            ("KEYS", "*"),
            ("FLUSHALL",),
            ("DEBUG", "SLEEP", "0"),
            ("SHUTDOWN",),
            ("ACL", "LIST"),
            ("GET", "c2:other"),
        ):
            try:
                await client.execute_command(*words)
            except ResponseError:
                refused.append(words[0])
        await client.aclose()
        return refused

    assert asyncio.run(use()) == ["EVAL", "CONFIG", "KEYS", "FLUSHALL", "DEBUG", "SHUTDOWN", "ACL", "GET"]


def test_an_external_engine_that_does_not_answer_is_named(folder):
    data, url = str(folder / "data"), "redis://:geheim@127.0.0.1:1/0"
    tried = attempt("tests.integration.supervised", data, "29998", TITAN_REDIS_URL=url)

    assert tried.returncode == 1
    assert "The external valkey at redis://:***@127.0.0.1:1/0 does not answer." in tried.stdout
    assert "TITAN_REDIS_URL" in tried.stdout
    assert "geheim" not in tried.stdout


def test_external_engines_are_used_instead_of_bundled_ones(start, folder, monkeypatch):
    """Given the engines of one cell by their addresses, another cell serves on them and starts none itself."""
    first = start()
    first.until_serving()
    config = first.config()
    monkeypatch.setenv("TITAN_REDIS_URL", config.redis_url)
    monkeypatch.setenv("TITAN_DATABASE_URL", config.database_url)

    second = start(data=folder / "second")
    cell = second.until_serving()

    assert {process.name for process in cell.processes} == PROCESSES - {"valkey", "postgres"}
