"""Which upgrade requests are let in."""

import pytest

from realtime.handshake import refusal
from realtime.protocol import SUBPROTOCOL

ORIGINS = frozenset({"https://shop.example"})


@pytest.mark.parametrize(
    ("target", "origin", "offered", "status"),
    (
        ("/rt", None, SUBPROTOCOL, None),
        ("/rt?x=1", "https://shop.example", f"other, {SUBPROTOCOL}", None),
        ("/", None, SUBPROTOCOL, 404),
        ("/rt/", None, SUBPROTOCOL, 404),
        ("/rtx", None, SUBPROTOCOL, 404),
        ("/rt", None, "", 400),
        ("/rt", None, "titan.v2.json", 400),
        ("/rt?token=x", None, SUBPROTOCOL, 400),
        ("/rt?a=1&Access_Token=", None, SUBPROTOCOL, 400),
        ("/rt?to%6ben=x", None, SUBPROTOCOL, 400),
        ("/rt", "https://evil.example", SUBPROTOCOL, 403),
        ("/rt", "null", SUBPROTOCOL, 403),
        ("/rt", "https://shop.example, https://shop.example", SUBPROTOCOL, 403),
        ("/rt", "https://shop.example.evil.example", SUBPROTOCOL, 403),
        ("//[/rt", None, SUBPROTOCOL, 404),
    ),
)
def test_an_upgrade_is_let_in_or_turned_away(target, origin, offered, status):
    turned = refusal(target, origin, offered, ORIGINS)

    assert (turned.status if turned else None) == status
