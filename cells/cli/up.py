"""`titan up`."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import rich_click as click

from cells.cli import options
from cells.cli.reset import wipe
from cells.settings import HOME, Resolved
from cells.supervisor.console import Console
from cells.supervisor.layout import Layout
from cells.supervisor.lock import holder
from cells.supervisor.output import LogStream
from cells.supervisor.plan import Plan
from cells.supervisor.run import Options, Supervisor
from cells.trouble import EXIT_DONE, EXIT_FAILED, Trouble

ANNOUNCE = "TITAN_ANNOUNCE_FD"
LOG = "supervisor.log"


@click.command(help="Start the engines and the cell. Ctrl-C, or `titan down`, stops everything.")
@click.option("--port", type=int, help="Port of the API; realtime takes the next one.  [default: 8000]")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@options.data
@click.option("--cells", type=int, help="Number of cells.  [default: 1]")
@click.option("--workers", "api_workers", type=int, help="API processes.  [default: 1]")
@click.option(
    "--demo", is_flag=True, help="Fill it with merchants, products, buyers and a sale that is live."
)
@click.option("--fresh", is_flag=True, help="Remove all data first.")
@click.option("--detach", is_flag=True, help="Return when it is ready and leave it running.")
def up(*, demo: bool, fresh: bool, detach: bool, **flags: object) -> int:
    resolved = options.resolve(**flags)
    layout = Layout(Path(resolved.settings.data))
    announce = os.environ.pop(ANNOUNCE, None)
    console = Console(LogStream(layout.logs / LOG)) if announce else Console()
    if fresh:
        refuse_if_running(layout)
        if removed := wipe(layout):
            console.note(f"removed the data in {', '.join(str(path) for path in removed)}")
    if detach:
        return start_detached(layout, resolved, demo=demo)
    supervisor = Supervisor(
        resolved.settings,
        plan=Plan(),
        console=console,
        options=Options(demo=demo, announce=int(announce) if announce else None),
    )
    return asyncio.run(supervisor.run())


def refuse_if_running(layout: Layout) -> None:
    if (pid := holder(layout.lock)) is not None:
        raise Trouble(f"Titan is running on {layout.data}, pid {pid}.", "Its data is in use.", "titan down")


def start_detached(layout: Layout, resolved: Resolved, *, demo: bool) -> int:
    """Start a supervisor of its own session and relay its lines until it is ready or has failed."""
    layout.make()
    log = layout.logs / LOG
    reader, writer = os.pipe()
    settings = resolved.settings
    flags = ["--port", str(settings.port), "--host", settings.host, "--data", settings.data]
    flags += ["--cells", str(settings.cells), "--workers", str(settings.api_workers)]
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-P", "-m", "cells.cli", "up", *flags, *(["--demo"] if demo else [])],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(HOME), ANNOUNCE: str(writer)},
            pass_fds=(writer,),
            start_new_session=True,
        )
    os.close(writer)
    try:
        outcome = relay(log, reader)
    except KeyboardInterrupt:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(10)
        raise
    if outcome == "ready":
        click.echo(f"  Running in the background, pid {supervisor.pid}.  Stop it with: titan down")
        return EXIT_DONE
    if outcome == "fenced":
        click.echo(
            f"  Running in the background, pid {supervisor.pid}, but fenced.  Stop it with: titan down"
        )
    return EXIT_FAILED


def relay(log: Path, announced: int) -> str:
    """Copy the supervisor's lines to the terminal until it says how it went, or has ended without a word."""
    os.set_blocking(announced, False)
    with log.open("rb") as lines:
        while True:
            said = read_or_none(announced)
            sys.stdout.write(lines.read().decode(errors="replace"))
            sys.stdout.flush()
            if said is not None:
                os.close(announced)
                return said.decode().strip()
            time.sleep(0.05)


def read_or_none(descriptor: int) -> bytes | None:
    try:
        return os.read(descriptor, 64)
    except BlockingIOError:
        return None
