"""The words of webhooks: the endpoints of a merchant, and what they asked to be told.

Secrets are no part of this: they are derived from a key of the cell, the endpoint's id and its generation.
"""

from typing import Literal

import msgspec

from cells.kernel.codec import EventKind, Registry

KIND = "whk"

MAX_ENDPOINTS = 10
MAX_ASKED = 100
MOST_ASKED_KEPT = 1_000
OVERLAP_MS = 24 * 3600 * 1000

Type = Literal[
    "sale.armed",
    "sale.opened",
    "sale.paused",
    "sale.throttled",
    "sale.ended",
    "sale.killed",
    "hold.granted",
    "hold.confirmed",
    "hold.released",
    "hold.expired",
    "order.created",
    "payment.captured",
    "payment.declined",
    "payment.voided",
]

Status = Literal["active", "paused"]


# --- events ----------------------------------------------------------------------------------------------------


class EndpointAdded(msgspec.Struct, frozen=True, array_like=True):
    """A merchant wants these types of events sent to an address, from this commit on."""

    endpoint_id: str
    url: str
    types: tuple[str, ...]
    description: str
    at: int


class SecretRotated(msgspec.Struct, frozen=True, array_like=True):
    """Signatures are made with the secret of this generation, for a day with the one before as well."""

    endpoint_id: str
    generation: int
    at: int


class EndpointPaused(msgspec.Struct, frozen=True, array_like=True):
    """Nothing is sent for now. What happens meanwhile is sent after it was resumed."""

    endpoint_id: str
    reason: str
    at: int


class EndpointResumed(msgspec.Struct, frozen=True, array_like=True):
    """Sending goes on where it stopped."""

    endpoint_id: str
    at: int


class EndpointRemoved(msgspec.Struct, frozen=True, array_like=True):
    """Nothing is ever sent there again. `reason`: `deleted` by its merchant, `gone` by its own answer 410."""

    endpoint_id: str
    reason: str
    at: int


class RedeliveryAsked(msgspec.Struct, frozen=True, array_like=True):
    """The merchant wants dead letters of an endpoint to be tried again; no ids: all of them."""

    endpoint_id: str
    event_ids: tuple[str, ...]
    at: int


Event = EndpointAdded | SecretRotated | EndpointPaused | EndpointResumed | EndpointRemoved | RedeliveryAsked

REGISTRY = Registry(
    EventKind(kind.__name__, kind)
    for kind in (
        EndpointAdded,
        SecretRotated,
        EndpointPaused,
        EndpointResumed,
        EndpointRemoved,
        RedeliveryAsked,
    )
)


# --- state -----------------------------------------------------------------------------------------------------


class Endpoint(msgspec.Struct, frozen=True):
    """An endpoint that was not removed. `paused` says why nothing is sent, and is empty while it is.

    `redeliver_all` and `redeliver` say when its merchant last asked for dead letters to be tried again.
    """

    id: str
    url: str
    types: tuple[str, ...]
    description: str
    created_at: int
    generation: int = 1
    rotated_at: int = 0
    paused: str = ""
    redeliver_all: int = 0
    redeliver: dict[str, int] = {}

    def asked_at(self, event_id: str) -> int:
        """Return when its merchant last asked for a delivery to be tried again; 0: never."""
        return max(self.redeliver_all, self.redeliver.get(event_id, 0))

    def generations(self, now: int) -> tuple[int, ...]:
        """Return the generations of secrets to sign with, the newest first."""
        if self.generation > 1 and now < self.rotated_at + OVERLAP_MS:
            return self.generation, self.generation - 1
        return (self.generation,)


Endpoints = dict[str, Endpoint]


class Merchant(msgspec.Struct, frozen=True):
    """A merchant's endpoints, and the ids of those that are no more."""

    endpoints: Endpoints = {}
    removed: frozenset[str] = frozenset()


# --- commands --------------------------------------------------------------------------------------------------


class Add(msgspec.Struct, frozen=True):
    """Add an endpoint. Repeating it with the same id changes nothing."""

    endpoint_id: str
    url: str
    types: tuple[str, ...]
    description: str


class Rotate(msgspec.Struct, frozen=True):
    """Make a new secret: the one after `generation`, so that a repeat changes nothing. None: after the newest."""

    endpoint_id: str
    generation: int | None = None


class Pause(msgspec.Struct, frozen=True):
    """Stop sending."""

    endpoint_id: str
    reason: str


class Resume(msgspec.Struct, frozen=True):
    """Go on sending."""

    endpoint_id: str


class Remove(msgspec.Struct, frozen=True):
    """Forget an endpoint."""

    endpoint_id: str
    reason: str


class Redeliver(msgspec.Struct, frozen=True):
    """Try dead letters again; no ids: all of them."""

    endpoint_id: str
    event_ids: tuple[str, ...] = ()


Command = Add | Rotate | Pause | Resume | Remove | Redeliver
