"""The `titan` command. Sub-commands are imported when they are used, so that each starts fast and fails alone."""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import rich_click as click

from cells.trouble import EXIT_FAILED, EXIT_USAGE, Trouble

# name -> (where, what the overview says)
COMMANDS = {
    "up": ("cells.cli.up:up", "Start the engines and the cell; print where everything is."),
    "status": ("cells.cli.control:status", "Say how the running cell is."),
    "down": ("cells.cli.control:down", "Stop it."),
    "restart": ("cells.cli.control:restart", "Restart one process, or all but the engines."),
    "logs": ("cells.cli.logs:logs", "Show what the processes wrote."),
    "reset": ("cells.cli.reset:reset", "Remove the data."),
    "doctor": ("cells.cli.doctor:doctor", "Check this machine and say what to mend."),
    "config": ("cells.cli.config:config", "Show the settings and where they come from."),
    "top": ("admin_tui.cli:top", "Watch and steer: the operators' dashboard."),
    "demo": ("fixtures.demo.cli:demo", "Sell a sale out with simulated buyers."),
    "bench": ("fixtures.load.cli:bench", "Measure."),
    "log": ("cells.cli.log:log", "Read, verify and export the log."),
    "projection": ("server.store.cli:projection", "Rebuild read models."),
    "operator": ("server.accounts.cli:operator", "Make operators' keys."),
    "test": ("cells.cli.test:test", "Style, types, import contracts, tests."),
}


def unavailable(name: str, target: str, error: Exception) -> click.Command:
    """Stands for a command that cannot be imported: it says why, and the others work."""

    @click.command(name, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    def stand_in() -> None:
        raise Trouble(
            f"titan {name} is not available in this installation.",
            f"{target} cannot be imported: {type(error).__name__}: {error}",
            "titan doctor",
        )

    return stand_in


def find(name: str) -> click.Command:
    target, _ = COMMANDS[name]
    module, _, attribute = target.partition(":")
    try:
        command: click.Command = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        return unavailable(name, target, error)
    return command


class Overview(click.RichGroup):
    """Lists the commands from the table above and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - see above
        if cmd_name not in COMMANDS:
            return None
        return click.Command(cmd_name, short_help=COMMANDS[cmd_name][1], help=COMMANDS[cmd_name][1])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, *rest = args
        if name not in COMMANDS:
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"Did you mean: titan {close[0]}" if close else "titan --help lists the commands"
            ctx.fail(f"there is no command {name}. {hint}")
        return name, find(name), rest


@click.group(cls=Overview, context_settings={"help_option_names": ["-h", "--help"]})
def titan() -> None:
    """Titan: a commerce server for flash sales. Start with `titan up --demo`."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 failed, 2 wrong use, 3 not running."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """The exit code of the command."""
    try:
        code: Any = titan.main(arguments, prog_name="titan", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except Trouble as trouble:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {trouble}", err=True)
        return trouble.code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of our output went away, as `titan logs | head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return code if isinstance(code, int) else 0
