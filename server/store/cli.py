"""`titan projection`: rebuilding read models from the log."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import rich_click as click

from cells.cli import options
from cells.cli.log import quieten
from cells.config import CellConfig
from cells.engine.project import StoreUnavailable
from cells.kernel.codec import UnknownEvent
from cells.log.chain import Broken
from cells.log.jetstream import JetStreamLog
from cells.log.port import LogUnavailable
from cells.trouble import EXIT_DONE, EXIT_NOT_RUNNING, EXIT_USAGE, Trouble
from server.projections import projections
from server.store.projection import Projection
from server.store.rebuild import Busy, rebuild


@click.group(help="Read models in Postgres, made from the log.")
def projection() -> None:
    """Group of commands."""


@projection.command("rebuild", help="Rebuild the tables of NAME, or of all projections, while the cell runs.")
@options.data
@click.argument("name")
def rebuild_command(*, data: str | None, name: str) -> int:
    quieten()
    chosen = _choose(name)
    config = running(options.layout(data).config)
    try:
        position = asyncio.run(_rebuild(config, chosen))
    except Busy as error:
        raise Trouble("Another rebuild is running.", str(error), "wait for it to end") from error
    except (StoreUnavailable, LogUnavailable) as error:
        raise Trouble(
            "The rebuild was broken off; nothing has changed.", str(error), "titan status"
        ) from error
    except (Broken, UnknownEvent) as error:
        raise Trouble(
            "The log cannot be projected; nothing has changed.", str(error), "titan log verify"
        ) from error
    click.echo(f"rebuilt {', '.join(p.name for p in chosen)} up to position {position}")
    return EXIT_DONE


def running(path: Path) -> CellConfig:
    """Read the configuration of the running cell. Raises `Trouble` (not running)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=CellConfig)
    except FileNotFoundError:
        raise Trouble(
            "Titan is not running.", f"There is no {path}.", "titan up", code=EXIT_NOT_RUNNING
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Trouble(f"{path} cannot be read.", str(error), "titan up") from error


def _choose(name: str) -> tuple[Projection, ...]:
    known = projections()
    chosen = tuple(p for p in known if name in ("all", p.name))
    if not chosen:
        names = ", ".join(p.name for p in known)
        raise Trouble(
            f"There is no projection {name}.",
            f"Known: {names}.",
            "titan projection rebuild all",
            code=EXIT_USAGE,
        )
    return chosen


async def _rebuild(config: CellConfig, chosen: Sequence[Projection]) -> int:
    def progress(position: int, end: int) -> None:
        click.echo(f"  {position} of {end}")

    log = await JetStreamLog.open(config.nats_url, Path(config.data) / "marks", "rebuild")
    try:
        return await rebuild(config.database_url, log, chosen, progress)
    finally:
        await log.close()
