"""A query that a route does not know is refused: a misspelt filter would otherwise show everything."""

from collections.abc import Collection, Iterator
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter, QueryParameter

from cells.kernel.errors import Rejected

_RESERVED = frozenset({"request", "data"})

_known: dict[BaseRouteHandler, frozenset[str]] = {}


async def known_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: refuse parameters that the route does not have. Raises `Rejected` (bad_request)."""
    asked = connection.query_params.keys()
    if not asked:
        return
    known = _known.get(handler)
    if known is None:
        known = _known[handler] = frozenset(_names(handler, connection.path_params.keys()))
    for name in asked:
        if name not in known:
            has = f"it has: {', '.join(sorted(known))}" if known else "it has none"
            raise Rejected("bad_request", f"This route has no parameter {name[:64]!r}; {has}.")


def _names(handler: BaseRouteHandler, in_path: Collection[str]) -> Iterator[str]:
    for field in handler.parsed_fn_signature.parameters.values():
        definition = field.kwarg_definition
        if field.name in _RESERVED or field.name in in_path or isinstance(definition, HeaderParameter):
            continue
        yield (definition.name if isinstance(definition, QueryParameter) else None) or field.name
