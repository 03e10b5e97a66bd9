"""`titan reset`."""

import shutil
from pathlib import Path

import rich_click as click

from cells.cli import options
from cells.supervisor.engines.placement import remove_outside
from cells.supervisor.layout import Layout, Sockets
from cells.supervisor.lock import holder
from cells.trouble import EXIT_DONE, EXIT_FAILED, Trouble

PARTS = ("cells", "run", "logs")


def wipe(layout: Layout) -> list[Path]:
    """Remove what Titan made, inside and outside the data folder, and nothing else. The folders that went."""
    removed = remove_outside(layout)
    if not layout.is_ours():
        return removed
    Sockets(layout).sweep()
    for part in PARTS:
        shutil.rmtree(layout.data / part, ignore_errors=True)
    layout.marker.unlink(missing_ok=True)
    if not any(layout.data.iterdir()):
        layout.data.rmdir()
    return [layout.data, *removed]


@click.command(help="Remove the data: the log, the tables, the keys, the process logs.")
@options.data
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(*, data: str | None, yes: bool) -> int:
    layout = options.layout(data)
    if (pid := holder(layout.lock)) is not None:
        raise Trouble(f"Titan is running on {layout.data}, pid {pid}.", "Its data is in use.", "titan down")
    if not layout.is_ours():
        click.echo(f"There is no data of Titan in {layout.data}.")
        return EXIT_DONE
    question = f"Remove all sales, orders, accounts and keys in {layout.data}? This cannot be undone."
    if not yes and not click.confirm(question):
        click.echo("nothing was removed")
        return EXIT_FAILED
    click.echo(f"removed {', '.join(str(path) for path in wipe(layout))}")
    return EXIT_DONE
