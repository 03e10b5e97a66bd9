"""Webhooks over HTTP. Secrets are added to answers behind the idempotency record, which lies in the log."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from cells.kernel.chance import fresh
from cells.kernel.ids import slot_in
from server.web import cursors
from server.web.auth import BEARER, Actor, requires
from server.web.body import Json
from server.web.feature import Parts
from server.web.idempotency import Answer
from server.web.idempotent_http import IdempotencyKey, answer, same_request
from server.web.paging import Cursor, Limit
from server.web.problem import refusals
from server.webhooks.desk import Webhooks, revealed
from server.webhooks.model import Remove, Resume, Rotate
from server.webhooks.views import (
    DeliveryPage,
    NewWebhook,
    Redelivery,
    WebhookPage,
    WebhookView,
    WebhookWithSecret,
)

WebhookId = Annotated[str, Parameter(max_length=64)]
Asked = Request[Actor, Any, Any]

_READ = ("unauthenticated", "token_expired", "forbidden", "fenced")
_WRITE = (*_READ, "conflict", "key_reused", "outcome_unknown")
_COMMON: dict[str, Any] = {"guards": [requires("merchant")], "security": BEARER, "tags": ["webhooks"]}


def handlers(parts: Parts, desk: Webhooks) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""
    return (*_making(parts, desk), *_keeping(parts, desk), *_failing(parts, desk))


async def _once(
    parts: Parts, request: Asked, key: str | None, new_id: str, work: Callable[[str], Awaitable[Answer]]
) -> Answer:
    return await parts.idempotency.run(await same_request(request, key), new_id, work)


def _making(parts: Parts, desk: Webhooks) -> tuple[HTTPRouteHandler, ...]:
    def shown(found: Answer) -> "Response[WebhookWithSecret]":
        body = found.body if found.problem else revealed(desk, found.body)
        response = answer(msgspec.structs.replace(found, body=body))
        response.headers["cache-control"] = "no-store"
        return cast("Response[WebhookWithSecret]", response)

    @post(
        "/api/v1/webhooks",
        dto=Json[NewWebhook],
        responses=refusals(*_WRITE, "limit_reached"),
        operation_id="createWebhook",
        **_COMMON,
    )
    async def create_webhook(
        request: Asked, data: NewWebhook, idempotency_key: IdempotencyKey = None
    ) -> Response[WebhookWithSecret]:
        """Have events sent to an address. The secret is shown in this answer alone."""
        merchant = request.user.id
        desk.check(data)

        async def work(endpoint_id: str) -> Answer:
            return Answer(201, msgspec.json.encode(await desk.add(merchant, endpoint_id, data)))

        new_id = fresh("whk", slot_in(merchant), parts.clock)
        return shown(await _once(parts, request, idempotency_key, new_id, work))

    @post(
        "/api/v1/webhooks/{webhook_id:str}/rotate",
        status_code=200,
        responses=refusals(*_WRITE, "not_found"),
        operation_id="rotateWebhookSecret",
        **_COMMON,
    )
    async def rotate_secret(
        request: Asked, webhook_id: WebhookId, idempotency_key: IdempotencyKey = None
    ) -> Response[WebhookWithSecret]:
        """Make a new secret. For a day, deliveries are signed with the one before as well."""
        merchant = request.user.id
        # The generation it starts from goes into the record, so that work done again rotates once.
        before = (await desk.one(merchant, webhook_id)).generation

        async def work(generation: str) -> Answer:
            rotated = await desk.run(merchant, Rotate(webhook_id, int(generation)))
            return Answer(200, msgspec.json.encode(rotated))

        return shown(await _once(parts, request, idempotency_key, str(before), work))

    return create_webhook, rotate_secret


def _keeping(parts: Parts, desk: Webhooks) -> tuple[HTTPRouteHandler, ...]:
    @get("/api/v1/webhooks", responses=refusals(*_READ), operation_id="listWebhooks", **_COMMON)
    async def list_webhooks(request: Asked) -> WebhookPage:
        """List the caller's webhooks: ten at most, so there is one page."""
        return WebhookPage(await desk.all(request.user.id), None)

    @get(
        "/api/v1/webhooks/{webhook_id:str}",
        responses=refusals(*_READ, "not_found"),
        operation_id="getWebhook",
        **_COMMON,
    )
    async def get_webhook(request: Asked, webhook_id: WebhookId) -> WebhookView:
        """Return a webhook."""
        return await desk.one(request.user.id, webhook_id)

    @delete(
        "/api/v1/webhooks/{webhook_id:str}",
        responses=refusals(*_WRITE, "not_found"),
        operation_id="deleteWebhook",
        **_COMMON,
    )
    async def delete_webhook(request: Asked, webhook_id: WebhookId) -> None:
        """Send nothing there any more, also nothing that waits."""
        await desk.do(request.user.id, Remove(webhook_id, "deleted"))

    @post(
        "/api/v1/webhooks/{webhook_id:str}/resume",
        status_code=200,
        responses=refusals(*_WRITE, "not_found"),
        operation_id="resumeWebhook",
        **_COMMON,
    )
    async def resume_webhook(
        request: Asked, webhook_id: WebhookId, idempotency_key: IdempotencyKey = None
    ) -> Response[WebhookView]:
        """Go on where a webhook was paused, and send what happened meanwhile."""
        merchant = request.user.id

        async def work(_: str) -> Answer:
            return Answer(200, msgspec.json.encode(await desk.run(merchant, Resume(webhook_id))))

        found = await _once(parts, request, idempotency_key, webhook_id, work)
        return cast("Response[WebhookView]", answer(found))

    return list_webhooks, get_webhook, delete_webhook, resume_webhook


def _failing(parts: Parts, desk: Webhooks) -> tuple[HTTPRouteHandler, ...]:
    @get(
        "/api/v1/webhooks/{webhook_id:str}/deliveries",
        responses=refusals(*_READ, "not_found"),
        operation_id="listFailedDeliveries",
        **_COMMON,
    )
    async def list_deliveries(
        request: Asked, webhook_id: WebhookId, limit: Limit = cursors.DEFAULT_LIMIT, cursor: Cursor = None
    ) -> DeliveryPage:
        """List what was not taken at once: what waits for its next try, and what is dead. The newest first."""
        return await desk.deliveries(request.user.id, webhook_id, limit, cursor)

    @post(
        "/api/v1/webhooks/{webhook_id:str}/redeliver",
        status_code=202,
        dto=Json[Redelivery],
        responses=refusals(*_WRITE, "not_found"),
        operation_id="redeliver",
        **_COMMON,
    )
    async def redeliver(
        request: Asked,
        webhook_id: WebhookId,
        data: Redelivery = Redelivery(),  # noqa: B008 - frozen
        idempotency_key: IdempotencyKey = None,
    ) -> Response[WebhookView]:
        """Try dead deliveries again."""
        merchant = request.user.id

        async def work(_: str) -> Answer:
            await desk.redeliver(merchant, webhook_id, data.event_ids)
            return Answer(202, msgspec.json.encode(await desk.one(merchant, webhook_id)))

        found = await _once(parts, request, idempotency_key, webhook_id, work)
        return cast("Response[WebhookView]", answer(found))

    return list_deliveries, redeliver
