"""`titan status`, `titan down`, `titan restart`."""

import os
import signal
import time

import msgspec
import rich_click as click

from cells.cli import options
from cells.supervisor.control import Answer, Request, ask
from cells.supervisor.layout import Layout
from cells.supervisor.lock import holder
from cells.supervisor.status import CellStatus
from cells.trouble import EXIT_DONE, EXIT_FAILED, EXIT_NOT_RUNNING, Trouble

DRAIN_SECONDS = 8.0
COLOURS = {
    "running": "green",
    "standby": "green",
    "serving": "green",
    "starting": "yellow",
    "draining": "yellow",
}


def running(layout: Layout) -> int:
    """Pid of the supervisor. Raises Trouble (not running) where there is none."""
    if (pid := holder(layout.lock)) is None:
        raise Trouble(
            f"Titan is not running on {layout.data}.",
            "No process holds its lock.",
            "titan up    (another data folder: --data DIR)",
            code=EXIT_NOT_RUNNING,
        )
    return pid


def answer(layout: Layout, request: Request) -> Answer:
    pid = running(layout)
    found = ask(layout, request)
    if found is None:
        raise Trouble(
            f"The supervisor, pid {pid}, does not answer.",
            "It is starting or stopping, or it hangs.",
            f"try again; if it stays so: kill -KILL {pid}  (its processes end with it)",
        )
    if found.error:
        raise Trouble(found.error, "", "titan status")
    return found


@click.command(help="Say how the running cell is. Exit code 0 ready, 1 not ready, 3 not running.")
@options.data
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def status(*, data: str | None, as_json: bool) -> int:
    found = answer(options.layout(data), Request("status")).status
    if found is None:
        raise Trouble("Titan is starting.", "", "titan status")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return EXIT_DONE
    ready = click.style("ready", fg="green") if found.ready else click.style("not ready", fg="red")
    click.echo(f"{ready}  {found.edge}  data {found.data}  fsync {found.fsync}")
    for cell in found.cells:
        show(cell)
    return EXIT_DONE if found.ready else EXIT_FAILED


def show(cell: CellStatus) -> None:
    state = click.style(cell.state, fg=COLOURS.get(cell.state, "red"))
    click.echo(f"\n{cell.id}  {state}  realtime {cell.realtime}")
    if cell.reason:
        click.echo(f"  {click.style('why:', fg='red')} {cell.reason}")
    click.echo(f"  {'process':<10} {'pid':>8}  {'state':<11} {'restarts':>8} {'memory':>10} {'cpu':>5}")
    for process in cell.processes:
        state = click.style(f"{process.state:<11}", fg=COLOURS.get(process.state, "red"))
        memory = f"{process.rss / 2**20:.1f} MiB"
        click.echo(
            f"  {process.name:<10} {process.pid or '-':>8}  {state} {process.restarts:>8} {memory:>10} {process.cpu:>4.0%}"
        )
    total = sum(process.rss for process in cell.processes)
    click.echo(f"  {'all':<10} {'':>8}  {'':<11} {'':>8} {f'{total / 2**20:.1f} MiB':>10}")


@click.command(help="Stop the running cell and all its processes.")
@options.data
def down(*, data: str | None) -> int:
    layout = options.layout(data)
    pid = running(layout)
    began = time.monotonic()
    if ask(layout, Request("down")) is None:
        os.kill(pid, signal.SIGTERM)
    while holder(layout.lock) is not None:
        if time.monotonic() - began > DRAIN_SECONDS:
            raise Trouble(
                f"The supervisor, pid {pid}, has not stopped in {DRAIN_SECONDS:.0f} s.",
                "",
                f"kill -KILL {pid}    (its processes end with it)",
            )
        time.sleep(0.05)
    click.echo(f"stopped in {time.monotonic() - began:.1f} s")
    return EXIT_DONE


@click.command(help="Restart PROCESS, or all processes but the engines.")
@options.data
@click.argument("process", required=False)
def restart(*, data: str | None, process: str | None) -> int:
    answer(options.layout(data), Request("restart", process))
    click.echo(f"restarting {process or 'all but the engines'}: titan status")
    return EXIT_DONE
