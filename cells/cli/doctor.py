"""`titan doctor`."""

import msgspec
import rich_click as click

from cells.cli import checks, options
from cells.cli.checks import Check
from cells.trouble import EXIT_DONE, EXIT_FAILED

MARKS = {"ok": ("✔", "green"), "warn": ("!", "yellow"), "fail": ("✘", "red")}


@click.command(help="Check this machine and say what to mend. Exit code 1 where something fails.")
@options.data
@click.option("--port", type=int, help="Port to check.  [default: 8000]")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def doctor(*, data: str | None, port: int | None, as_json: bool) -> int:
    settings = options.resolve(data=data, port=port).settings
    results = [check for run in checks.ALL for check in run(settings)]
    failed = any(check.level == "fail" for check in results)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(results), indent=2).decode())
    else:
        for check in results:
            show(check)
    return EXIT_FAILED if failed else EXIT_DONE


def show(check: Check) -> None:
    mark, colour = MARKS[check.level]
    click.echo(f"{click.style(mark, fg=colour)} {check.name:<12} {check.found}")
    if check.mend:
        click.echo(f"  {'':<12} {click.style(check.mend, dim=True)}")
