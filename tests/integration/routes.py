"""The routes that a cell's api serves, from the same composition."""

import warnings

from litestar.exceptions import LitestarDeprecationWarning
from litestar.routes import HTTPRoute

from cells.kernel.clock import SystemClock
from server import app
from server.accounts.passwords import Passwords
from server.store.waiting import Projected
from server.web.revocations import Revocations
from tests.integration.conftest import Cell


async def routes_of(cell: Cell) -> set[tuple[str, str]]:
    """Return method and path of every route but those of the documents."""
    revocations, passwords, projected = Revocations(), Passwords(), Projected()
    async with app.opened(cell.config, "crawl", SystemClock(), revocations) as parts:
        listed = app.features(parts, revocations, passwords, projected)
        with warnings.catch_warnings():
            # What Litestar 3 will ask for differently; pyproject.toml holds it below 3.
            warnings.simplefilter("ignore", LitestarDeprecationWarning)
            edge = app.create_app(parts, listed, dict, str)
        found = {
            (method.lower(), route.path_format)
            for route in edge._app.routes
            if isinstance(route, HTTPRoute) and not route.path.startswith("/schema")
            for method in route.methods
            if method != "OPTIONS"
        }
        hot = {(r.method.lower(), f"{r.prefix}{{sale_id}}{r.suffix}") for f in listed for r in f.hot}
    passwords.close()
    return found | hot
