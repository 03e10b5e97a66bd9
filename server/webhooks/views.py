"""Webhooks as their merchants see them."""

from typing import Annotated, Literal

import msgspec

from cells.kernel.clock import rfc3339
from server.web.text import LINE_PATTERN, When
from server.webhooks.letters import Letter
from server.webhooks.model import MAX_ASKED, Endpoint, Status, Type

Url = Annotated[
    str,
    msgspec.Meta(
        min_length=10, max_length=2048, description="https address of a host on the public internet"
    ),
]
Types = Annotated[tuple[Type, ...], msgspec.Meta(min_length=1, max_length=32)]
Description = Annotated[str, msgspec.Meta(max_length=200, pattern=LINE_PATTERN)]
EventId = Annotated[str, msgspec.Meta(pattern="^evt_[0-9a-f]{32}$", max_length=36)]


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to send what."""

    url: Url
    events: Types
    description: Description = ""


class Redelivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead deliveries to try again; none named: all."""

    event_ids: Annotated[tuple[EventId, ...], msgspec.Meta(max_length=MAX_ASKED)] = ()


class WebhookView(msgspec.Struct, frozen=True):
    """A webhook. `paused_because` is empty while it is active."""

    id: str
    url: str
    events: tuple[str, ...]
    description: str
    state: Status
    paused_because: str
    generation: int
    created_at: When


class WebhookWithSecret(msgspec.Struct, frozen=True):
    """A webhook and its secret, which is shown this once."""

    id: str
    url: str
    events: tuple[str, ...]
    description: str
    state: Status
    paused_because: str
    generation: int
    created_at: When
    secret: str


class WebhookPage(msgspec.Struct, frozen=True):
    """All webhooks of a merchant."""

    items: list[WebhookView]
    next: str | None


class DeliveryView(msgspec.Struct, frozen=True):
    """A delivery that failed at first. `last_status` is null when no answer came; `last_error` says why."""

    event_id: str
    type: str
    state: Literal["waiting", "dead"]
    tries: int
    last_status: int | None
    last_error: str
    first_failed_at: When
    last_failed_at: When
    next_try_at: When | None


class DeliveryPage(msgspec.Struct, frozen=True):
    """A page of failed deliveries, the newest first."""

    items: list[DeliveryView]
    next: str | None


def view(endpoint: Endpoint) -> WebhookView:
    """Show an endpoint."""
    return WebhookView(
        endpoint.id,
        endpoint.url,
        endpoint.types,
        endpoint.description,
        "paused" if endpoint.paused else "active",
        endpoint.paused,
        endpoint.generation,
        rfc3339(endpoint.created_at),
    )


def with_secret(shown: WebhookView, secret: str) -> WebhookWithSecret:
    """Add the secret."""
    return WebhookWithSecret(**msgspec.structs.asdict(shown), secret=secret)


def delivery(letter: Letter) -> DeliveryView:
    """Show a letter."""
    return DeliveryView(
        letter.event_id,
        letter.type,
        "dead" if letter.dead else "waiting",
        letter.tries,
        letter.status or None,
        letter.why,
        rfc3339(letter.at),
        rfc3339(letter.tried_at),
        None if letter.dead else rfc3339(letter.next_at),
    )
