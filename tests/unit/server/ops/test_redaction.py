"""What operators see of events: everything but what could be used to get in, or was said in private."""

from collections.abc import Iterator
from typing import Any, get_type_hints

import msgspec
import pytest

from cells.kernel.codec import EventKind
from cells.kernel.money import Money
from server.accounts.model import AccountRegistered
from server.chat.model import By
from server.ops import lines, redaction
from server.push.model import Subscribed
from server.store.vocabulary import registries
from server.webhooks.model import EndpointAdded
from tests.unit.server.ops.written import T0, said

CANARY = "canary"

SECRET = {
    ("usr", "AccountRegistered", "email"),
    ("usr", "AccountRegistered", "password_hash"),
    ("usr", "PasswordRehashed", "password_hash"),
    ("psh", "Subscribed", "endpoint"),
}
"""Secret text. What is secret and bytes is hidden because all bytes are."""

HARMLESS = {
    *("amount", "at", "attempt", "attributes", "author", "author_name", "beyond", "buyer_id", "buyer_name"),
    *("by", "by_name", "command", "conversation_id", "description", "display_name", "ends_at", "endpoint_id"),
    *("event_id", "event_ids", "expires_at", "generation", "hold_id", "hold_seconds", "images", "list_price"),
    *("merchant_id", "message_id", "method", "name", "next_at", "operator_id", "order_id", "payment_id"),
    *("per_buyer_limit", "per_second", "placed_at", "position", "price", "problem", "product_id", "reason"),
    *("reference", "resource_id", "role", "s", "sale_id", "seconds", "sid", "starts_at", "state", "status"),
    *(
        "stock",
        "subject",
        "subscription_id",
        "term",
        "text",
        "title",
        "type",
        "types",
        "units",
        "until",
        "url",
    ),
    *("user", "user_id", "why", "words", "writer"),
}
"""Names of fields that have been looked at. A new one fails the test below until somebody decides about it."""


def vocabulary() -> Iterator[tuple[str, EventKind]]:
    for kind, registry in registries().items():
        for name in registry.names:
            yield kind, registry._by_name[name]


ALL = list(vocabulary())
IDS = [f"{kind}.{event.name}" for kind, event in ALL]


def filled(kind: type[Any]) -> Any:
    """An event with a canary in every text and all bytes."""
    return kind(*(_value(hint) for hint in get_type_hints(kind).values()))


def _value(hint: Any) -> Any:
    known = {
        str: CANARY,
        bytes: CANARY.encode(),
        int: 7,
        bool: True,
        Money: Money(7, "EUR"),
        By: By("opr_1", "operator", "why"),
    }
    if hint in known:
        return known[hint]
    arguments: tuple[Any, ...] = getattr(hint, "__args__", ())
    origin = getattr(hint, "__origin__", None)
    if origin is tuple:
        return (_value(arguments[0]),)
    if origin is dict:
        return {CANARY: _value(arguments[1])}
    chosen = arguments[0]
    return chosen if isinstance(chosen, str) else _value(chosen)


def hidden(event: EventKind) -> set[str]:
    hints = get_type_hints(event.type)
    return {name for name in hints if hints[name] is bytes or redaction.is_secret(name)}


@pytest.mark.parametrize("event", [event for _, event in ALL], ids=IDS)
def test_every_field_of_the_vocabulary_was_looked_at(event):
    assert set(get_type_hints(event.type)) - hidden(event) - HARMLESS == set()
    assert hidden(event) & HARMLESS == set()


@pytest.mark.parametrize(("kind", "event"), ALL, ids=IDS)
def test_what_is_secret_is_never_shown(kind, event):
    shown = redaction.shown(kind, event.name, filled(event.type))

    assert set(shown) == set(get_type_hints(event.type))
    for field in hidden(event):
        assert CANARY not in str(shown[field]), field
    assert msgspec.json.encode(shown)


@pytest.mark.parametrize(("kind", "event"), ALL, ids=IDS)
def test_what_is_secret_is_in_no_line(kind, event):
    values = msgspec.structs.asdict(filled(event.type))
    harmless = {k: "x" if v == CANARY and k not in hidden(event) else v for k, v in values.items()}
    by, text = lines.say(kind, event.name, event.type(**harmless))

    assert CANARY not in by + text


def test_the_secrets_that_are_known_are_hidden():
    found = {
        (kind, e.name, field) for kind, e in ALL for field in get_type_hints(e.type) if field in hidden(e)
    }

    assert found >= SECRET


def test_bytes_are_shown_as_their_length():
    assert redaction.shown(
        "psh", "Subscribed", Subscribed("psb_1", "https://push/x", b"p" * 65, b"a" * 16, T0)
    ) == {
        "subscription_id": "psb_1",
        "endpoint": "***",
        "p256dh": "65 bytes",
        "auth": "16 bytes",
        "at": T0,
    }


def test_an_address_of_a_person_is_hidden_and_its_name_is_not():
    event = AccountRegistered("usr_1", "ada@example.com", "$argon2id$x", "Ada", "buyer", T0)

    assert redaction.shown("usr", "AccountRegistered", event) == {
        "user_id": "usr_1",
        "email": "***",
        "password_hash": "***",
        "display_name": "Ada",
        "role": "buyer",
        "at": T0,
    }


def test_what_is_said_in_rooms_is_shown_and_in_conversations_is_not():
    message = said("msg_1", "for you alone")

    assert redaction.shown("room", "MessagePosted", message)["text"] == "for you alone"
    assert redaction.shown("cnv", "MessagePosted", message)["text"] == "13 characters"
    assert lines.say("cnv", "MessagePosted", message)[1] == "wrote 13 characters"


@pytest.mark.parametrize(
    ("url", "shown"),
    (
        ("https://hooks.example.com/services/T0/secret?token=x", "https://hooks.example.com/…"),
        ("https://user:password@example.com/", "https://example.com/…"),
        ("http://[bad", "***"),
    ),
)
def test_of_a_webhook_its_host_is_shown(url, shown):
    event = EndpointAdded("whk_1", url, ("sale.opened",), "", T0)

    assert redaction.shown("whk", "EndpointAdded", event)["url"] == shown
    assert "secret" not in lines.say("whk", "EndpointAdded", event)[1]
    assert "password" not in lines.say("whk", "EndpointAdded", event)[1]


def test_money_and_lists_keep_their_shape():
    class Sold(msgspec.Struct):
        price: Money
        units: tuple[int, ...]
        password: str | None
        tokens: list[str]

    shown = redaction.shown("x", "Sold", Sold(Money(5, "EUR"), (1, 2), None, ["a"]))

    assert shown == {
        "price": {"amount": 5, "currency": "EUR"},
        "units": [1, 2],
        "password": None,
        "tokens": "***",
    }
