"""Options that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from cells import settings
from cells.supervisor.layout import Layout

Command = TypeVar("Command", bound=Callable[..., Any])


def data(command: Command) -> Command:
    """`--data DIR`, as `data` of the function."""
    option = click.option(
        "--data", type=click.Path(file_okay=False), help="Folder of the data.  [default: .titan]"
    )
    decorated: Command = option(command)
    return decorated


def resolve(**flags: object) -> settings.Resolved:
    return settings.load(flags, environment=os.environ)


def layout(folder: str | None) -> Layout:
    return Layout(Path(resolve(data=folder).settings.data))
