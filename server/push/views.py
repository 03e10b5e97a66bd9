"""Push subscriptions as browsers make them (W3C Push API) and as accounts see them."""

from typing import Annotated

import msgspec

from cells.kernel.clock import rfc3339
from server.notify import addresses
from server.push.model import Subscription
from server.web.text import When

Endpoint = Annotated[str, msgspec.Meta(min_length=10, max_length=2048)]
Key = Annotated[str, msgspec.Meta(min_length=16, max_length=128, pattern="^[A-Za-z0-9_+/-]+={0,2}$")]


class SubscriptionKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """base64url, as `PushSubscription.toJSON()` has them."""

    p256dh: Key
    auth: Key


class PushSubscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PushSubscription.toJSON()` returns."""

    endpoint: Endpoint
    keys: SubscriptionKeys
    expiration_time: float | None = msgspec.field(name="expirationTime", default=None)


class PushKey(msgspec.Struct, frozen=True):
    """`applicationServerKey` of a browser's `pushManager.subscribe`."""

    key: str


class SubscriptionView(msgspec.Struct, frozen=True):
    """A subscription. `service` is the origin of the push service; the endpoint itself is a capability."""

    id: str
    service: str
    created_at: When


class SubscriptionPage(msgspec.Struct, frozen=True):
    """All subscriptions of an account."""

    items: list[SubscriptionView]
    next: str | None


def view(subscription: Subscription) -> SubscriptionView:
    """Show a subscription."""
    service = addresses.parse(subscription.endpoint, allow_loopback=True).origin
    return SubscriptionView(subscription.id, service, rfc3339(subscription.at))
