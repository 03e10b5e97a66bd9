"""`titan top --web`: the site on a port of this machine, until Ctrl-C."""

import asyncio
import signal
from typing import Final

import click
from aiohttp import web

from admin_tui.web.server import Serving, Site, asking
from cells.trouble import EXIT_DONE, Trouble

HOST: Final = "127.0.0.1"
STOP_SECONDS: Final = 6.0


def serve(serving: Serving) -> int:
    """Serve until told to stop. Raises Trouble where the port is taken."""
    asyncio.run(_serve(serving))
    return EXIT_DONE


async def _serve(serving: Serving) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        Site(serving, asking(serving.api)).app(), access_log=None, shutdown_timeout=STOP_SECONDS
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, serving.port).start()
        except OSError as error:
            raise Trouble(
                f"The port {serving.port} of {HOST} cannot be used.",
                error.strerror or str(error),
                f"titan top --web --port {serving.port + 1 if serving.port < 65535 else 8010}",
            ) from error
        click.echo(f"titan top is on http://{HOST}:{serving.port}, behind a login with an operator's key.")
        click.echo(
            f"From another machine: ssh -L {serving.port}:{HOST}:{serving.port} THIS-MACHINE. Ctrl-C ends it."
        )
        await stop.wait()
    finally:
        await runner.cleanup()
