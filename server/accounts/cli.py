"""`titan operator`: keys for the people who watch and steer a cell."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar, cast

import msgspec
import rich_click as click
from nats.errors import Error as NatsError

from cells import diagnostics
from cells.cli import options
from cells.config import CellConfig
from cells.kernel.clock import SystemClock, rfc3339
from cells.kernel.errors import Rejected
from cells.log.jetstream import JetStreamLog
from cells.log.port import Log, LogUnavailable
from cells.trouble import EXIT_DONE, EXIT_NOT_RUNNING, EXIT_USAGE, Trouble
from server.accounts import operators
from server.web.auth import Rank

T = TypeVar("T")


@click.group(help="Keys of the people who watch and steer.")
def operator() -> None:
    """Group of commands."""


@operator.command(
    "create",
    help="Make a key for NAME and print it, once. A viewer sees, an operator also acts, an admin also ends keys.",
)
@options.data
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["viewer", "operator", "admin"]), default="operator", show_default=True
)
def create_command(*, data: str | None, name: str, role: str) -> int:
    """Print a key that can never be shown again."""
    if not operators.NAME.fullmatch(name):
        raise Trouble(
            f"{name!r} is not a name for an operator.",
            "It has 1 to 63 letters, digits, dots, dashes, underscores or @.",
            "titan operator create NAME",
            code=EXIT_USAGE,
        )
    rank = cast("Rank", role)

    async def act(log: Log) -> str:
        return await operators.create(log, SystemClock(), name, rank, os.urandom(operators.ENTROPY_BYTES))

    key = _with_log(data, act, f"titan operator revoke {name}")
    click.echo(key)
    click.echo(
        f"This is the {role} key of {name}. It is shown this once and cannot be shown again.", err=True
    )
    return EXIT_DONE


@operator.command("revoke", help="End the key of NAME; every process refuses it within 5 seconds.")
@options.data
@click.argument("name")
def revoke_command(*, data: str | None, name: str) -> int:
    """End a key."""
    _with_log(data, lambda log: operators.revoke(log, SystemClock(), name), "titan operator list")
    click.echo(f"revoked {name}")
    return EXIT_DONE


@operator.command("list", help="Show who has a key.")
@options.data
def list_command(*, data: str | None) -> int:
    """Show names, roles and ages; never keys."""
    found = _with_log(data, operators.everyone, "titan status")
    for each in found:
        click.echo(f"{each.name:<24} {each.role:<9} since {rfc3339(each.created_at)}")
    if not found:
        click.echo("nobody has a key; make one with: titan operator create NAME", err=True)
    return EXIT_DONE


def _with_log(data: str | None, act: Callable[[Log], Awaitable[T]], mend: str) -> T:
    config = _running(options.layout(data).config)
    # A key is the only thing on standard output.
    diagnostics.configure("operator", config.cell, "error")
    try:
        return asyncio.run(_act(config, act))
    except Rejected as refusal:
        raise Trouble("It was not done.", refusal.detail, mend) from refusal
    except (LogUnavailable, NatsError, OSError) as error:
        raise Trouble(
            "The cell's log does not answer.", str(error), "titan up", code=EXIT_NOT_RUNNING
        ) from error


async def _act(config: CellConfig, act: Callable[[Log], Awaitable[T]]) -> T:
    log = await JetStreamLog.open(config.nats_url, Path(config.data) / "marks", "operator-cli")
    try:
        return await act(log)
    finally:
        await log.close()


def _running(path: Path) -> CellConfig:
    try:
        return msgspec.json.decode(path.read_bytes(), type=CellConfig)
    except FileNotFoundError:
        raise Trouble(
            "Titan is not running.", f"There is no {path}.", "titan up", code=EXIT_NOT_RUNNING
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise Trouble(f"{path} cannot be read.", str(error), "titan up") from error
