"""Push subscriptions over HTTP."""

from typing import Annotated, Any, cast

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from cells.kernel.chance import fresh
from cells.kernel.ids import slot_in
from server.push.desk import Subscriptions
from server.push.vapid import Vapid
from server.push.views import PushKey, PushSubscription, SubscriptionPage, SubscriptionView
from server.web.auth import BEARER, Actor, requires
from server.web.body import Json
from server.web.feature import Parts
from server.web.idempotency import Answer
from server.web.idempotent_http import IdempotencyKey, answer, same_request
from server.web.problem import refusals

SubscriptionId = Annotated[str, Parameter(max_length=64)]
Endpoint = Annotated[
    str, Parameter(max_length=2048, description="the endpoint of the browser's subscription")
]
Asked = Request[Actor, Any, Any]

_READ = ("unauthenticated", "token_expired", "forbidden", "fenced")
_WRITE = (*_READ, "conflict", "outcome_unknown")
_COMMON: dict[str, Any] = {"guards": [requires("buyer", "merchant")], "security": BEARER, "tags": ["push"]}


def handlers(parts: Parts, desk: Subscriptions, vapid: Vapid) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""

    @get("/api/v1/push/key", responses=refusals(), operation_id="getPushKey", tags=["push"])
    async def get_key() -> PushKey:
        """Return the key that browsers subscribe with."""
        return PushKey(vapid.public)

    @post(
        "/api/v1/push/subscriptions",
        dto=Json[PushSubscription],
        responses=refusals(*_WRITE, "key_reused", "limit_reached"),
        operation_id="subscribe",
        **_COMMON,
    )
    async def subscribe(
        request: Asked, data: PushSubscription, idempotency_key: IdempotencyKey = None
    ) -> Response[SubscriptionView]:
        """Push to a browser from now on. The same browser again is the same subscription."""
        account = request.user.id
        new_id = fresh("psb", slot_in(account), parts.clock)
        desk.read(new_id, data)

        async def work(subscription_id: str) -> Answer:
            shown = await desk.add(account, desk.read(subscription_id, data))
            return Answer(201, msgspec.json.encode(shown))

        same = await same_request(request, idempotency_key)
        return cast("Response[SubscriptionView]", answer(await parts.idempotency.run(same, new_id, work)))

    @get(
        "/api/v1/push/subscriptions",
        responses=refusals(*_READ),
        operation_id="listSubscriptions",
        **_COMMON,
    )
    async def list_subscriptions(request: Asked) -> SubscriptionPage:
        """List the caller's subscriptions: twenty at most, so there is one page."""
        return SubscriptionPage(await desk.all(request.user.id), None)

    @delete(
        "/api/v1/push/subscriptions",
        responses=refusals(*_WRITE, "not_found"),
        operation_id="unsubscribeEndpoint",
        **_COMMON,
    )
    async def unsubscribe_endpoint(request: Asked, endpoint: Endpoint) -> None:
        """Push no more to the browser with this endpoint, which is all that a browser knows of itself."""
        await desk.remove_at(request.user.id, endpoint)

    @delete(
        "/api/v1/push/subscriptions/{subscription_id:str}",
        responses=refusals(*_WRITE, "not_found"),
        operation_id="unsubscribe",
        **_COMMON,
    )
    async def unsubscribe(request: Asked, subscription_id: SubscriptionId) -> None:
        """Push no more to a browser."""
        await desk.remove(request.user.id, subscription_id)

    return get_key, subscribe, list_subscriptions, unsubscribe_endpoint, unsubscribe
