"""Idempotency on the HTTP side: the header, what makes a request the same, and the answer."""

from typing import Annotated, Any

from litestar import Request, Response
from litestar.params import HeaderParameter

from cells.kernel.errors import Rejected
from cells.kernel.ids import slot_in
from server.web import idempotency
from server.web.auth import Actor

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=idempotency.MAX_KEY,
        pattern="^[ -~]+$",
        description="A retry with the same key and body gets the first answer, for 24 hours at least.",
    ),
]


def demanded(key: str | None) -> str:
    """Return the key of a write that is not done without one. Raises `Rejected` (idempotency_key_required)."""
    if key is None:
        raise Rejected("idempotency_key_required", "Send an Idempotency-Key header of your choice.")
    return key


async def same_request(request: Request[Actor, Any, Any], key: str | None) -> idempotency.Request:
    """Describe a request of an account, so that its retry can be known."""
    actor = request.user
    return idempotency.Request(
        actor.id, slot_in(actor.id), request.method, request.url.path, key, await request.body()
    )


def answer(found: idempotency.Answer) -> Response[bytes]:
    """Turn an answer into a response; a replay says so."""
    headers = {"idempotency-replayed": "true"} if found.replayed else {}
    return Response(
        found.body, status_code=found.status, media_type=idempotency.media_type(found), headers=headers
    )
