"""The OpenAPI document: generated from the handlers, made exact, closed with what the edge adds to every answer.

Litestar finds the operations. Their bodies are described by msgspec, which is what decodes and encodes them:
Litestar's own description loses bounds of optional and nested values and leaves structs open that are closed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec
from litestar import Litestar, Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, PathItem, SecurityScheme, Server
from litestar.routes import HTTPRoute

VERSION = "1"
REFERENCE = "#/components/schemas/{name}"
METHODS = ("get", "post", "put", "patch", "delete")

Spec = dict[str, Any]


def _header(description: str, *, required: bool = True, **schema: Any) -> Spec:
    return {"description": description, "required": required, "schema": schema}


ALWAYS = {
    "Titan-Cell": _header("the cell that answered", type="string", minLength=1),
    "Server-Time": _header(
        "RFC 3339 in UTC with milliseconds",
        type="string",
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
    ),
}
OUTCOME = {
    "Titan-Outcome": _header("the write was not applied", required=False, type="string", const="not-applied")
}
BY_STATUS = {
    "401": {"WWW-Authenticate": _header("the scheme that is asked for", type="string")},
    "405": {"Allow": _header("the methods that the path knows", type="string", minLength=1)},
    "429": {"Retry-After": _header("seconds", type="integer", minimum=1)},
    "503": {"Retry-After": _header("seconds", type="integer", minimum=1)},
}
"""Headers of answers with a status, whatever the operation is."""


class DocumentPage(JsonRenderPlugin):
    """Serves the finished `body` as plain JSON: no page that would load scripts from elsewhere."""

    def __init__(self) -> None:
        super().__init__(path=["/openapi.json", "/"])
        self.body = b"{}"

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document; Litestar's draft of it is not served."""
        del request, openapi_schema
        return self.body

    def receive_router(self, router: Router) -> None:
        """Drop Litestar's own page for unknown paths, which is HTML: they are problems like anywhere else."""
        router.routes = [route for route in router.routes if not route.path_parameters]


def openapi_config(public_url: str, page: DocumentPage) -> OpenAPIConfig:
    """Serve the document at `/schema/openapi.json`."""
    return OpenAPIConfig(
        title="Titan",
        version=VERSION,
        summary="A real-time commerce server for flash sales",
        description=(
            "Errors are RFC 9457 problem+json with a stable `code`. Every answer carries `Titan-Cell` and "
            "`Server-Time`; a definite refusal of a write carries `Titan-Outcome: not-applied`."
        ),
        servers=[Server(url=public_url)],
        path="/schema",
        render_plugins=[page],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="An access token of an account, or the key of an operator.",
                )
            }
        ),
    )


def complete(app: Litestar, operations: Mapping[str, PathItem]) -> bytes:
    """Return the document of an application and of the operations that the edge answers before it.

    Raises `LookupError` when a body is described by something else than a struct that the handlers name.
    """
    document: Spec = app.openapi_schema.to_schema()
    document["paths"] |= {path: item.to_schema() for path, item in operations.items()}
    handlers = {handler.operation_id: handler for handler in _documented(app)}
    document["components"]["schemas"] = _components(document["components"]["schemas"], handlers.values())
    for item in document["paths"].values():
        for method in METHODS:
            if operation := item.get(method):
                handler = handlers.get(operation["operationId"])
                _finish(operation, method, body_is_optional=handler is not None and _has_default(handler))
    return msgspec.json.encode(document)


def _documented(app: Litestar) -> Iterator[HTTPRouteHandler]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from (h for h in route.route_handlers if h.resolve_include_in_schema())


def _has_default(handler: HTTPRouteHandler) -> bool:
    data = handler.parsed_data_field
    return data is not None and data.has_default


def _components(drafts: Spec, handlers: Any) -> Spec:
    found = {struct for handler in handlers for struct in _bodies(handler)}
    _, exact = msgspec.json.schema_components(sorted(found, key=lambda s: s.__name__), ref_template=REFERENCE)
    strangers = drafts.keys() - exact.keys()
    if strangers:
        msg = f"no struct of a handler is named {', '.join(sorted(strangers))}"
        raise LookupError(msg)
    return exact


def _bodies(handler: HTTPRouteHandler) -> Iterator[type[msgspec.Struct]]:
    yield from _structs(handler.parsed_return_field.annotation)
    if handler.parsed_data_field is not None:
        yield from _structs(handler.parsed_data_field.annotation)
    for response in (handler.responses or {}).values():
        yield from _structs(response.data_container)


def _structs(annotation: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
    for argument in get_args(annotation):
        yield from _structs(argument)


def _finish(operation: Spec, method: str, *, body_is_optional: bool) -> None:
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _as_sent(parameter["schema"])
        if parameter["name"] == "Idempotency-Key" and _demands_key(operation):
            parameter["required"] = True
    if body_is_optional:
        operation["requestBody"]["required"] = False
    for status, response in operation["responses"].items():
        outcome = OUTCOME if method != "get" and status >= "400" else {}
        response["headers"] = {
            **(response.get("headers") or {}),
            **ALWAYS,
            **outcome,
            **BY_STATUS.get(status, {}),
        }


def _demands_key(operation: Spec) -> bool:
    """Tell whether an operation refuses requests without a key: with a code of its own, so not by its signature."""
    return "idempotency_key_required" in operation["responses"]["400"]["description"]


def _as_sent(schema: Spec) -> Spec:
    """Describe a parameter that may be absent as it is read: a text is never null, but `null` is read as no number."""
    choices = schema.get("oneOf", ())
    if {"type": "null"} not in choices:
        return schema
    (only,) = (choice for choice in choices if choice != {"type": "null"})
    kinds = only["type"] if only["type"] == "string" else [only["type"], "null"]
    return {**only, **{key: value for key, value in schema.items() if key != "oneOf"}, "type": kinds}
