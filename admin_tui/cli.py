"""`titan top`: the operators' dashboard, in the terminal, in five lines, in a browser, or once as JSON."""

import asyncio
import os
import sys

import rich_click as click

from admin_tui import targets
from admin_tui.targets import Target
from cells.cli import options
from cells.settings import HOME
from cells.trouble import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, Trouble

WEB_PORT = 8010


@click.command(help="The operators' dashboard: every cell and every sale, live and replayed.")
@click.option("--operate", is_flag=True, help="Allow actions; the key has to be an operator's or an admin's.")
@click.option(
    "--url", "urls", multiple=True, help="A cell's address; once for each.  [default: the local cell]"
)
@click.option(
    "--key", "keys", multiple=True, help="An operator's key; better in TITAN_KEY, which ps does not show."
)
@options.data
@click.option("--mono", is_flag=True, help="Without colours, as with NO_COLOR.")
@click.option("--theme", default="", help="Colours by name; in the dashboard `:theme` completes the names.")
@click.option("--inline", is_flag=True, help="Five lines under the prompt.")
@click.option("--web", is_flag=True, help="Serve it to browsers on this machine, behind a login with a key.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=WEB_PORT, show_default=True, help="Port of --web."
)
@click.option("--once", is_flag=True, help="Print the state once and end: 0 all cells heard, 1 not.")
@click.option("--json", "as_json", is_flag=True, help="With --once: as JSON.")
def top(
    *,
    operate: bool,
    urls: tuple[str, ...],
    keys: tuple[str, ...],
    data: str | None,
    mono: bool,
    theme: str,
    inline: bool,
    web: bool,
    port: int,
    once: bool,
    as_json: bool,
) -> int:
    if sum((inline, web, once)) > 1 or (as_json and not once):
        raise Trouble(
            "These options do not go together.",
            "One of --inline, --web and --once; --json goes with --once.",
            "titan top --help",
            code=EXIT_USAGE,
        )
    if web:
        return _web([*urls], data, operate=operate, mono=mono, theme=theme, port=port)
    found = _targets(urls, keys, data, operate=operate)
    if once:
        from admin_tui.once import once as print_once  # noqa: PLC0415 - each way in imports what it needs

        return EXIT_DONE if asyncio.run(print_once(found, as_json=as_json)) else EXIT_FAILED
    if inline:
        from admin_tui.inline import run_inline  # noqa: PLC0415 - as above

        return run_inline(found, mono=mono)
    return _dashboard(found, operate=operate, mono=mono, theme=theme)


def _targets(
    urls: tuple[str, ...], keys: tuple[str, ...], data: str | None, *, operate: bool
) -> list[Target]:
    if urls:
        found = targets.given(urls, keys, os.environ)
        for each in found:
            if targets.in_the_clear(each):
                click.echo(
                    f"{click.style('warning:', fg='yellow')} the key goes to {each.url} in the clear",
                    err=True,
                )
        return found
    if keys:
        raise Trouble(
            "--key needs --url.",
            "The local cell has its own key.",
            "titan top --url URL --key KEY",
            code=EXIT_USAGE,
        )
    return targets.local(options.layout(data), "operator" if operate else "viewer")


def _dashboard(found: list[Target], *, operate: bool, mono: bool, theme: str) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()) and "TEXTUAL_DRIVER" not in os.environ:
        raise Trouble(
            "The dashboard needs a terminal.",
            "Input or output is not one.",
            "titan top --once, titan top --inline, or over ssh: ssh -t HOST titan top",
        )
    from admin_tui.app import TopApp  # noqa: PLC0415 - Textual is not imported where it is not shown
    from admin_tui.collector import calm  # noqa: PLC0415 - as above
    from admin_tui.connect import feeds  # noqa: PLC0415 - as above

    async def run() -> int:
        app = TopApp(await feeds(found), operate=operate, mono=mono, theme=theme)
        if theme and theme not in app.available_themes:
            known = ", ".join(sorted(app.available_themes))
            raise Trouble(
                f"There is no theme {theme}.",
                f"There is: {known}.",
                "titan top --theme titan",
                code=EXIT_USAGE,
            )
        calm()
        await app.run_async()
        return app.return_code or EXIT_DONE

    return asyncio.run(run())


def _web(urls: list[str], data: str | None, *, operate: bool, mono: bool, theme: str, port: int) -> int:
    from admin_tui.web.serve import serve  # noqa: PLC0415 - as above
    from admin_tui.web.server import Serving  # noqa: PLC0415 - as above

    if not urls:
        urls = [each.api for each in targets.addresses(options.layout(data))]
    command = [sys.executable, "-P", "-m", "cells.cli", "top"]
    for url in urls:
        command += ["--url", targets.checked(url)]
    command += ["--operate"] * operate + ["--mono"] * mono + (["--theme", theme] if theme else [])
    path = os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH", ""))))
    return serve(Serving(tuple(command), targets.checked(urls[0]), port, {"PYTHONPATH": path}))
