"""Which methods a path knows: what OPTIONS answers, and the framework's knowledge of paths that it never serves."""

from collections.abc import Mapping
from typing import Any

from litestar import HttpMethod, Litestar, Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import PathItem
from litestar.routes import HTTPRoute

from cells.kernel.errors import Rejected


def stand_ins(operations: Mapping[str, PathItem]) -> list[HTTPRouteHandler]:
    """Make handlers for paths that the edge answers before the framework, so that their other methods are 405."""
    return [
        _stand_in(path, method)
        for path, item in operations.items()
        for method in HttpMethod
        if getattr(item, method.value.lower(), None) is not None
    ]


def _stand_in(path: str, method: HttpMethod) -> HTTPRouteHandler:
    async def absent() -> None:
        # Reached by a spelling that the edge does not take for its own, as with a slash at the end.
        raise Rejected("not_found")

    template = path.replace("}", ":str}")
    return HTTPRouteHandler(template, http_method=method, status_code=204, include_in_schema=False)(absent)


class Methods:
    """Answers OPTIONS for an application. Litestar's own answer names the first handler of a path only."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def learn(self, app: Litestar) -> None:
        """Take note of all routes."""
        self._known = {
            route.path_format: ", ".join(sorted(route.methods))
            for route in app.routes
            if isinstance(route, HTTPRoute)
        }

    def answer(self, request: Request[Any, Any, Any]) -> Response[None] | None:
        """Answer an OPTIONS request; None for any other."""
        if request.method != HttpMethod.OPTIONS:
            return None
        known = self._known[request.scope["path_template"]]
        return Response(None, status_code=204, headers={"allow": known})
