"""`titan test`."""

import shutil
import subprocess
import sys
from pathlib import Path

import rich_click as click

from cells.settings import HOME
from cells.trouble import EXIT_DONE, EXIT_FAILED, Trouble

PACKAGES = ("admin_tui", "cells", "realtime", "server", "fixtures", "tests")


def tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise Trouble(
            f"{name} is not installed.",
            "It is a part of requirements.lock.",
            "remove .venv, then: ./titan test",
        )
    return found


@click.command(
    help="Style, types, import contracts, then pytest with ARGS.",
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def test(*, args: tuple[str, ...]) -> int:
    packages = [package for package in PACKAGES if (HOME / package).is_dir()]
    steps: list[tuple[str, list[str]]] = [
        ("style: ruff check", [tool("ruff"), "check", "."]),
        ("style: ruff format", [tool("ruff"), "format", "--check", "."]),
        ("types: mypy --strict", [tool("mypy"), *packages]),
        ("imports: import-linter", [tool("lint-imports")]),
        ("tests: pytest", [sys.executable, "-P", "-m", "pytest", *args]),
    ]
    failed: list[str] = []
    for name, command in steps:
        click.echo(click.style(f"\n=== {name}", bold=True))
        if failed and command is steps[-1][1]:
            click.echo(click.style(f"failed so far: {', '.join(failed)}", fg="red"))
        sys.stdout.flush()
        if subprocess.run(command, cwd=HOME, check=False).returncode != 0:
            failed.append(name)
    return EXIT_FAILED if failed else EXIT_DONE
