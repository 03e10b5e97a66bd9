"""Hostile requests against all of the API on a real cell: a stable code each time, and never a 500.

What the edge does to any request is in `test_http_edge.py`; here it is what routes do, the hot one above all.
"""

import base64
import hashlib
import hmac
import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cells import tokens
from cells.kernel.clock import SystemClock
from server.flash_sale.read import LIST as SALES
from server.web import cursors
from tests.integration.shop import OPS_BODIES, PRICE, PRODUCT, STEPS, WEBHOOK, Shop, opened
from tests.integration.test_http_edge import head, talk

DEEP = b'{"quantity":' + b"[" * 15_000
OUTSIDERS = ("nobody", "other buyer", "other merchant")
ROLES = ("nobody", "buyer", "other buyer", "merchant", "other merchant", "viewer", "operator", "admin")
# Nobody else's business, whatever the answer is about.
PRIVATE = ("email", "password_hash", "token_hash", "refresh_token")


@pytest.fixture(scope="module")
def shop(cell) -> Iterator[Shop]:
    with opened(cell) as shop:
        yield shop


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:titan:problem:{code}"
    if answer.request.method not in ("GET", "OPTIONS"):
        assert answer.headers["titan-outcome"] == "not-applied"


def hold(shop: Shop, body: bytes, who: str = "buyer", sale: str = "", **headers: str) -> httpx.Response:
    sent = {
        **shop.headers(who),
        "content-type": "application/json",
        "idempotency-key": os.urandom(8).hex(),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return shop.client.post(f"/api/v1/sales/{sale or shop.sale}/holds", content=body, headers=sent)


# --- bodies ------------------------------------------------------------------------------------------------------

BODIES = (
    b"",
    b"{",
    b"null",
    b"[1]",
    b"1",
    b'"quantity"',
    b"{}",
    b'{"quantity":null}',
    b'{"quantity":"1"}',
    b'{"quantity":true}',
    b'{"quantity":1.5}',
    b'{"quantity":1e400}',
    b'{"quantity":NaN}',
    b'{"quantity":Infinity}',
    b'{"quantity":0}',
    b'{"quantity":-1}',
    b'{"quantity":-9223372036854775809}',
    b'{"quantity":9223372036854775808}',
    b'{"quantity":1001}',
    b'{"quantity":' + b"9" * 10_000 + b"}",
    b'{"quantity":1,"more":1}',
    b'{"quantity":1,"buyer_id":"usr_x"}',
    b'{"quantity":1,"quantity":-1}',
    b'{"quantity":1}{"quantity":1}',
    b'{"quantity":1}\x00',
    b"\xef\xbb\xbf" + b'{"quantity":1}',
    b'{"quantity":1,"\xff":1}',
    b'{"quantity":1,"\\ud800":1}',
    DEEP,
    b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_hold_takes_a_quantity_and_nothing_else(shop, body):
    before = shop.client.get(f"/api/v1/sales/{shop.sale}").json()

    refused(hold(shop, body), 400, "bad_request")

    assert shop.client.get(f"/api/v1/sales/{shop.sale}").json() == before


@pytest.mark.parametrize(
    ("who", "path"),
    (
        ("merchant", "/api/v1/products"),
        ("merchant", "/api/v1/sales"),
        ("merchant", "/api/v1/sales/{sale}/pause"),
        ("buyer", "/api/v1/holds/{hold}/confirm"),
        ("merchant", "/api/v1/webhooks"),
        ("buyer", "/api/v1/push/subscriptions"),
        ("buyer", "/api/v1/conversations"),
        ("buyer", "/api/v1/conversations/{conversation}/messages"),
        ("buyer", "/api/v1/rooms/{sale}/messages"),
        ("merchant", "/api/v1/rooms/{sale}/moderate"),
        ("nobody", "/api/v1/auth/register"),
    ),
)
def test_every_write_refuses_broken_bodies(shop, who, path):
    address = path.format(sale=shop.sale, hold=shop.new_hold(), conversation=shop.conversation)
    for body in BODIES[1:]:
        headers = {
            **shop.headers(who),
            "content-type": "application/json",
            "idempotency-key": os.urandom(8).hex(),
        }
        if body == b"{}" and path.endswith("/pause"):
            continue  # a step needs no reason
        refused(shop.client.post(address, content=body, headers=headers), 400, "bad_request")


@pytest.mark.parametrize(
    "fields",
    (
        {"stock": 0},
        {"stock": 10**6 + 1},
        {"stock": 10**30},
        {"price": {"amount": -1, "currency": "EUR"}},
        {"price": {"amount": 10**12 + 1, "currency": "EUR"}},
        {"price": {"amount": 1, "currency": "USD"}},
        {"per_buyer_limit": 0},
        {"hold_seconds": 0},
        {"hold_seconds": 86_401},
        {"starts_at": "2030-01-01T00:00:00"},
        {"starts_at": "9999-12-31T23:59:59-23:59"},
        {"starts_at": "0001-01-01T00:00:00+23:59"},
        {"starts_at": 0},
        {"starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"},
        {"title": "\u202e"},
        {"title": "\ud800"},
        {"state": "open"},
        {"merchant_id": "mer_x"},
    ),
)
def test_a_sale_takes_nothing_else(shop, fields):
    body = {
        "product_id": shop.product,
        "title": "Lamps",
        "price": PRICE,
        "stock": 5,
        "per_buyer_limit": 1,
        "hold_seconds": 60,
        **fields,
    }
    answer = shop.client.post(
        "/api/v1/sales",
        content=json.dumps(body),
        headers={**shop.headers("merchant"), "content-type": "application/json"},
    )

    refused(answer, 400, "bad_request")


def test_a_sale_of_somebody_elses_product_is_not_found(shop):
    body = {
        "product_id": shop.product,
        "title": "Lamps",
        "price": PRICE,
        "stock": 5,
        "per_buyer_limit": 1,
        "hold_seconds": 60,
    }

    refused(
        shop.client.post("/api/v1/sales", json=body, headers=shop.headers("other merchant")), 404, "not_found"
    )


# --- the hot path's headers, address and transport -------------------------------------------------------------------


@pytest.mark.parametrize("key", ("", "x" * 129, "k\u00e9y", "tab\tkey"))
def test_a_hold_needs_a_key_of_printable_ascii(shop, key):
    answer = shop.client.post(
        f"/api/v1/sales/{shop.sale}/holds",
        json={"quantity": 1},
        headers=[*shop.headers("buyer").items(), ("idempotency-key", key.encode())],
    )

    refused(answer, 400, "bad_request")


def test_a_hold_without_a_key_is_told_so(shop):
    answer = shop.client.post(
        f"/api/v1/sales/{shop.sale}/holds", json={"quantity": 1}, headers=shop.headers("buyer")
    )

    refused(answer, 400, "idempotency_key_required")


def test_a_key_is_not_used_for_two_bodies(shop):
    assert hold(shop, b'{"quantity":1}', idempotency_key="twice").status_code == 201

    refused(hold(shop, b'{"quantity":2}', idempotency_key="twice"), 422, "key_reused")


@pytest.mark.parametrize("media", ("text/plain", "application/xml", "application/x-www-form-urlencoded", "x"))
def test_a_hold_is_json(shop, media):
    refused(hold(shop, b'{"quantity":1}', content_type=media), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "sale", ("x", "sal_", "%2e%2e", "*", ">", "%F0%9F%92%A3", "%ff", "%ed%a0%80", "a%0d%0ab", "' OR 1=1 --")
)
def test_a_sale_that_is_none_is_not_found(shop, sale):
    answers = [
        hold(shop, b'{"quantity":1}', sale=sale),
        shop.client.get(f"/api/v1/sales/{sale}"),
        shop.client.get(f"/api/v1/sales/{sale}/audit", headers=shop.headers("merchant")),
        shop.client.get(f"/api/v1/rooms/{sale}/messages"),
    ]

    for answer in answers:
        assert answer.status_code in {400, 404}, (answer.url, answer.text)
        assert answer.json()["code"] in {"bad_request", "not_found"}


def test_ids_of_other_kinds_are_not_found(shop):
    for other in (shop.product, shop.new_hold(), shop.order["id"], shop.users["buyer"]["id"]):
        refused(hold(shop, b'{"quantity":1}', sale=other), 404, "not_found")


@pytest.mark.parametrize("method", ("GET", "PUT", "PATCH", "DELETE", "TRACE", "HEAD", "BREW"))
def test_the_hot_path_knows_one_method(shop, method):
    answer = shop.client.request(method, f"/api/v1/sales/{shop.sale}/holds")

    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")


def test_options_names_all_methods_of_a_path(shop):
    for path, allowed in (
        ("/api/v1/products", "GET, OPTIONS, POST"),
        (f"/api/v1/products/{shop.product}", "GET, OPTIONS, PATCH"),
        (f"/api/v1/holds/{shop.new_hold()}", "DELETE, GET, OPTIONS"),
        (f"/api/v1/sales/{shop.sale}/holds", "OPTIONS, POST"),
    ):
        answer = shop.client.options(path)

        assert (answer.status_code, answer.headers["allow"]) == (204, allowed)


async def test_raw_requests_to_the_hot_path(cell, shop):
    path = f"/api/v1/sales/{shop.sale}/holds"
    token = f"authorization: {shop.headers('buyer')['authorization']}"
    known = (token, "idempotency-key: raw", "content-type: application/json")
    body = b'{"quantity":1}'
    for sent, status, code in (
        (
            head("POST", path, *known, "content-length: 14", "connection: close", host="") + body,
            400,
            "bad_request",
        ),
        (head("POST", path, *known, "content-length: 20000") + b"x" * 20_000, 413, "too_large"),
        (head("POST", path, *known, "content-length: 14"), 408, "timeout"),
        (head("POST", path, *known, "content-encoding: gzip", "content-length: 14") + body, 415, None),
        (head("POST", f"{path}?{'q' * 5000}", *known, "content-length: 14") + body, 400, "bad_request"),
    ):
        answer = await talk(cell, sent)

        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert code is None or answer.code == code


async def test_ambiguous_lengths_are_refused(cell, shop):
    """What could be read as two different requests is not read as one; it may be the server that refuses."""
    token = f"authorization: {shop.headers('buyer')['authorization']}"
    path = f"/api/v1/sales/{shop.sale}/holds"
    sold = shop.client.get(f"/api/v1/sales/{shop.sale}").json()
    for lengths in (
        ("content-length: 14", "content-length: 15"),
        ("content-length: 14, 15",),
        ("content-length: +14",),
        ("content-length: -1",),
        ("content-length: 99999999999999999999",),
        ("transfer-encoding: gzip, identity",),
    ):
        request = head("POST", path, token, "idempotency-key: raw", *lengths, "connection: close")
        answer = await talk(cell, request + b'{"quantity":1}')

        assert answer.status in {400, 408, 411, 413, 501}, (lengths, answer.status)
    assert shop.client.get(f"/api/v1/sales/{shop.sale}").json() == sold


async def test_a_header_cannot_be_smuggled_into_an_answer(cell):
    for value in ("x%0d%0aset-cookie:%20a=b", "x%0aset-cookie:a=b", "%E5%98%8A%E5%98%8Dset-cookie:a=b"):
        for path in (f"/api/v1/sales/{value}", f"/api/v1/products?cursor={value}", f"/{value}"):
            answer = await talk(cell, head("GET", path, f"origin: {value}", "connection: close"))

            assert answer.status in {400, 404}
            assert "set-cookie" not in answer.headers
            assert answer.headers.get("access-control-allow-origin") is None


# --- queries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    (
        "state=OPEN",
        "state=open%00",
        "state=",
        "state=%ff",
        "state=%0a",
        "merchant=%00",
        "merchant=%01",
        "merchant=a%0ab",
        "merchant=" + "x" * 65,
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=" + "9" * 5000,
        "after=-1",
        "after=9007199254740993",
        "after=9007199254740992",
        "after=" + "9" * 400,
        "cursor=x",
        "cursor=" + "A" * 600,
        "cursor=" + cursors.encode(SALES, (2**63, "x")),
        "cursor=" + cursors.encode(SALES, (-1, "x")),
        "cursor=" + cursors.encode(SALES, (1, "\0")),
        "cursor=" + cursors.encode(SALES, (1, "x", 1)),
        "cursor=" + cursors.encode("products", (1, "x")),
    ),
)
def test_the_list_of_sales_refuses_what_it_does_not_know(shop, query):
    refused(shop.client.get(f"/api/v1/sales?{query}"), 400, "bad_request")


@pytest.mark.parametrize(
    ("path", "name", "who"),
    (
        ("/api/v1/products", "products", "nobody"),
        ("/api/v1/orders", "orders:buyer", "buyer"),
        ("/api/v1/conversations", "conversations:buyer", "buyer"),
    ),
)
def test_a_cursor_that_somebody_made_is_no_fault_of_the_server(shop, path, name, who):
    for last in (
        (2**63, "x"),
        (2**64 - 1, "x"),
        (-(2**63), "x"),
        (1, "\0"),
        (1, "x" * 65),
        (1.5, "x"),
        (1,),
        "x",
    ):
        query = {"cursor": cursors.encode(name, last)}
        refused(shop.client.get(path, params=query, headers=shop.headers(who)), 400, "bad_request")


@pytest.mark.parametrize(
    "path", ("/api/v1/products", "/api/v1/sales", "/api/v1/orders", "/api/v1/conversations")
)
def test_a_position_that_the_log_has_not_reached_is_the_clients_mistake(shop, path):
    answer = shop.client.get(path, params={"after": 2**52}, headers=shop.headers("buyer"))

    refused(answer, 400, "bad_request")
    assert answer.elapsed.total_seconds() < 1


# --- credentials ---------------------------------------------------------------------------------------------------


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def forged(shop: Shop) -> Iterator[tuple[str, str]]:
    """Yield tokens that nobody may come in with, and the code they are answered with."""
    first, payload, signature = shop.tokens["buyer"].split(".")
    header = json.loads(base64.urlsafe_b64decode(first + "=="))
    key = shop.client.get("/.well-known/jwks.json").json()["keys"][0]
    yield f"{encoded(json.dumps({**header, 'alg': 'none'}).encode())}.{payload}.", "unauthenticated"
    signing = f"{encoded(json.dumps({**header, 'alg': 'HS256'}).encode())}.{payload}"
    public = base64.urlsafe_b64decode(key["x"] + "==")
    mac = hmac.new(public, signing.encode(), hashlib.sha256).digest()
    yield f"{signing}.{encoded(mac)}", "unauthenticated"
    yield f"{encoded(json.dumps({**header, 'kid': 'x'}).encode())}.{payload}.{signature}", "unauthenticated"
    yield f"{first}.{payload}.{encoded(os.urandom(64))}", "unauthenticated"
    yield "\u00fc.\u00fc.\u00fc", "unauthenticated"
    yield "a.b.c.d.e", "unauthenticated"
    keys = tokens.load_or_create_keys(shop.keys)
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    an_hour_ago = SystemClock().now() - 3_600_000
    yield (
        keys.issuer().sign(
            sub=claims["sub"], role="buyer", sid=claims["sid"], name="x", now_ms=an_hour_ago, life_ms=600_000
        ),
        "token_expired",
    )


def test_a_token_that_is_not_alive_and_genuine_opens_nothing(shop):
    for token, code in forged(shop):
        headers = [
            ("authorization", f"Bearer {token}".encode()),
            ("idempotency-key", b"k"),
            ("content-type", b"application/json"),
        ]
        for method, path in (
            ("POST", f"/api/v1/sales/{shop.sale}/holds"),
            ("GET", "/api/v1/orders"),
            ("POST", "/api/v1/products"),
        ):
            answer = shop.client.request(
                method,
                path,
                content=b'{"quantity":1}',
                headers=headers,
            )
            refused(answer, 401, code)


# --- every route, every role ---------------------------------------------------------------------------------------


BODY_OF = {
    "createProduct": PRODUCT,
    "changeProduct": {"stock": 3},
    "holdUnits": {"quantity": 1},
    "confirmHold": {"payment_method": "pm_ok"},
    "postMessage": {"text": "x"},
    "postRoomMessage": {"text": "x"},
    "readConversation": {"s": 1},
    "moderateConversation": {"action": "unlock"},
    "moderateRoom": {"action": "unlock"},
    "createWebhook": WEBHOOK,
    **OPS_BODIES,
}
OPERATORS = ("operator", "admin")
WATCHERS = ("viewer", *OPERATORS)
TALKERS = ("buyer", "merchant", *OPERATORS)
MERCHANTS = ("merchant", "other merchant")
SERVED = {
    "createProduct": MERCHANTS,
    "changeProduct": ("merchant",),
    "createSale": MERCHANTS,
    "armSale": ("merchant",),
    "openSale": ("merchant",),
    **{f"{step}Sale": ("merchant", *OPERATORS) for step in ("pause", "resume", "end", "kill", "audit")},
    "holdUnits": ("buyer", "other buyer"),
    "getHold": ("buyer",),
    "releaseHold": ("buyer",),
    "confirmHold": ("buyer",),
    "listOrders": ("buyer", "other buyer", *MERCHANTS),
    "getOrder": ("buyer", "merchant"),
    "listConversations": ("buyer", "other buyer", *MERCHANTS),
    "listMessages": TALKERS,
    "postMessage": TALKERS,
    "readConversation": TALKERS,
    "moderateConversation": ("merchant", *OPERATORS),
    "moderateRoom": ("merchant", *OPERATORS),
    "getRoomModeration": ("merchant", *OPERATORS),
    **dict.fromkeys(
        (
            "opsWhoAmI",
            "opsListCells",
            "opsGetFrame",
            "opsListProcesses",
            "opsListSales",
            "opsGetSale",
            "opsListOrders",
            "opsListHolds",
            "opsListRooms",
            "opsListRoomMessages",
            "opsListLog",
            "opsGetCommit",
            "opsGetHealth",
        ),
        WATCHERS,
    ),
    **{step: OPERATORS for step in STEPS if step.startswith("ops")},
    "opsModerateRoom": OPERATORS,
    "opsListOperators": ("admin",),
    "opsRevokeOperator": ("admin",),
    "unsubscribe": ("buyer",),
    **dict.fromkeys(
        ("subscribe", "listSubscriptions", "unsubscribeEndpoint"), ("buyer", "other buyer", *MERCHANTS)
    ),
    "createWebhook": MERCHANTS,
    "listWebhooks": MERCHANTS,
    **dict.fromkeys(
        (
            "getWebhook",
            "deleteWebhook",
            "rotateWebhookSecret",
            "resumeWebhook",
            "listFailedDeliveries",
            "redeliver",
        ),
        ("merchant",),
    ),
}
"""By operation, who may be served when it is about what belongs to "buyer" and "merchant"; all, if it is not here."""


def test_no_route_serves_a_role_that_it_is_not_for(shop):
    document = shop.client.get("/schema/openapi.json").json()
    operations = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if operation["operationId"] != "logout"  # would end the sessions that the matrix lives in
    ]
    for (method, path, operation), who in itertools.product(operations, ROLES):
        name, ids = operation["operationId"], shop.ids_for(operation["operationId"])
        answer = shop.client.request(
            method,
            path.format(**ids),
            headers={**shop.headers(who), "idempotency-key": os.urandom(8).hex()},
            **({"json": BODY_OF.get(name, {})} if "requestBody" in operation else {}),
        )
        where = f"{who}: {name}: {answer.status_code} {answer.text[:300]}"

        assert answer.status_code < 500, where
        assert str(answer.status_code) in operation["responses"], where
        if operation.get("security") and who == "nobody":
            assert answer.json()["code"] == "unauthenticated", where
        if who not in SERVED.get(name, ROLES):
            assert answer.status_code in {401, 403, 404}, where
        _leaks_nothing(shop, who, answer, where)


def _leaks_nothing(shop: Shop, who: str, answer: httpx.Response, where: str) -> None:
    for other, user in shop.users.items():
        if other != who:
            assert user["email"] not in answer.text, where
    for name, token in shop.tokens.items():
        assert name == who or not token or token not in answer.text, where
    if who in OUTSIDERS and answer.status_code >= 400:
        assert shop.users["buyer"]["id"] not in answer.text, where
    _search(answer, where)


def _search(answer: httpx.Response, where: str) -> None:
    def names(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for name, value in node.items():
                yield name
                yield from names(value)
        elif isinstance(node, list):
            for value in node:
                yield from names(value)

    if "json" not in answer.headers.get("content-type", "") or "/auth/" in str(answer.url):
        return
    allowed = {"email"} if answer.url.path == "/api/v1/me" else set()
    assert not set(names(answer.json())) & (set(PRIVATE) - allowed), where


@pytest.mark.parametrize("who", ("other buyer", "merchant", "other merchant", "operator", "nobody"))
def test_a_hold_is_its_buyers_alone(shop, who):
    held, key = shop.new_hold(), {"idempotency-key": os.urandom(8).hex()}
    headers = shop.headers(who)

    answers = [
        shop.client.get(f"/api/v1/holds/{held}", headers=headers),
        shop.client.delete(f"/api/v1/holds/{held}", headers=headers),
        shop.client.post(
            f"/api/v1/holds/{held}/confirm", json={"payment_method": "pm_ok"}, headers={**headers, **key}
        ),
    ]

    expected = {"other buyer": (404, "not_found"), "nobody": (401, "unauthenticated")}
    for answer in answers:
        refused(answer, *expected.get(who, (403, "forbidden")))
    mine_ = shop.client.get(f"/api/v1/holds/{held}", headers=shop.headers("buyer"))
    assert mine_.json()["status"] == "held"
