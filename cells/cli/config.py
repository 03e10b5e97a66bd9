"""`titan config`."""

import msgspec
import rich_click as click

from cells import settings
from cells.cli import options
from cells.trouble import EXIT_DONE


@click.group(help="The settings: defaults < titan.toml < TITAN_* environment < command line.")
def config() -> None:
    pass


@config.command("show", help="Show every setting, its value and where it came from. Passwords are hidden.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def show(*, as_json: bool) -> int:
    resolved = options.resolve()
    values = {
        field: {
            "value": settings.redact(field, getattr(resolved.settings, field)),
            "source": source,
            "variable": settings.PREFIX + field.upper(),
            "meaning": settings.describe(field),
        }
        for field, source in resolved.sources.items()
    }
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(values), indent=2).decode())
        return EXIT_DONE
    for field, row in values.items():
        click.echo(f"{click.style(f'{field:<16}', bold=True)} {text(row['value']):<34} {row['source']}")
        click.echo(click.style(f"{'':<16} {row['meaning']}  ({row['variable']})", dim=True))
    return EXIT_DONE


def text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(value) or "-"
    return str(value) if value != "" else "-"
