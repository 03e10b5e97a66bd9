"""The words of push: the subscriptions of an account, one for each browser that asked."""

import msgspec

from cells.kernel.codec import EventKind, Registry

KIND = "psh"

MAX_SUBSCRIPTIONS = 20


# --- events ----------------------------------------------------------------------------------------------------


class Subscribed(msgspec.Struct, frozen=True, array_like=True):
    """A browser wants to be told. The keys encrypt for it alone: an uncompressed P-256 point, and 16 bytes."""

    subscription_id: str
    endpoint: str
    p256dh: bytes
    auth: bytes
    at: int


class Unsubscribed(msgspec.Struct, frozen=True, array_like=True):
    """`reason`: `deleted` by the account, `gone` by the push service's answer, `moved` to another account."""

    subscription_id: str
    reason: str
    at: int


Event = Subscribed | Unsubscribed

REGISTRY = Registry([EventKind("Subscribed", Subscribed), EventKind("Unsubscribed", Unsubscribed)])


# --- state -----------------------------------------------------------------------------------------------------


class Subscription(msgspec.Struct, frozen=True):
    """A browser that is to be told what happened from `at` on."""

    id: str
    endpoint: str
    p256dh: bytes
    auth: bytes
    at: int


class Account(msgspec.Struct, frozen=True):
    """The subscriptions of an account, by id."""

    subscriptions: dict[str, Subscription] = {}

    def at(self, endpoint: str) -> Subscription | None:
        """Return the subscription with an endpoint."""
        return next((each for each in self.subscriptions.values() if each.endpoint == endpoint), None)


# --- commands --------------------------------------------------------------------------------------------------


class Subscribe(msgspec.Struct, frozen=True):
    """Add a browser. One with the same endpoint is replaced, or stays if it has the same keys."""

    subscription_id: str
    endpoint: str
    p256dh: bytes
    auth: bytes


class Unsubscribe(msgspec.Struct, frozen=True):
    """Forget a browser. One that is not there stays so."""

    subscription_id: str
    reason: str


Command = Subscribe | Unsubscribe
