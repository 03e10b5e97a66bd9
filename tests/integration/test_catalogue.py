"""Products over HTTP, on a real cell."""

import asyncio
import os

import pytest

PRODUCT = {
    "title": "Running shoe",
    "description": "Red.\nFast.",
    "price": {"amount": 4990, "currency": "EUR"},
    "stock": 10,
    "images": ["/images/shoe.png", "https://cdn.example/shoe.png"],
    "attributes": {"size": "43"},
}


async def test_a_product_is_what_its_merchant_offered(api, register):
    mia = await register("merchant")

    made = await mia.ask("POST", "/api/v1/products", json=PRODUCT)

    assert made.status_code == 201
    product = made.json()
    assert PRODUCT.items() <= product.items()
    assert (product["merchant_id"], product["version"]) == (mia.user["id"], 1)
    assert product["id"][4:7] == mia.user["id"][4:7]
    assert (await api.get(f"/api/v1/products/{product['id']}")).json() == product


async def test_a_change_is_seen_at_once(api, register):
    mia = await register("merchant")
    product = (await mia.ask("POST", "/api/v1/products", json=PRODUCT)).json()

    changed = await mia.ask("PATCH", f"/api/v1/products/{product['id']}", json={"stock": 3})

    assert changed.status_code == 200
    assert changed.json() == {
        **product,
        "stock": 3,
        "version": 2,
        "position": changed.json()["position"],
        "updated_at": changed.json()["updated_at"],
    }
    assert (await api.get(f"/api/v1/products/{product['id']}")).json() == changed.json()


async def test_only_its_merchant_changes_a_product(api, register):
    mia, other, buyer = await register("merchant"), await register("merchant"), await register("buyer")
    product = (await mia.ask("POST", "/api/v1/products", json=PRODUCT)).json()
    path = f"/api/v1/products/{product['id']}"

    assert (await other.ask("PATCH", path, json={"stock": 0})).status_code == 404
    assert (await buyer.ask("PATCH", path, json={"stock": 0})).status_code == 403
    assert (await api.patch(path, json={"stock": 0})).status_code == 401
    assert (await buyer.ask("POST", "/api/v1/products", json=PRODUCT)).status_code == 403
    assert (await api.get(path)).json() == product


@pytest.mark.parametrize(
    "fields",
    (
        {"stock": -1},
        {"stock": 10**7 + 1},
        {"stock": "5"},
        {"stock": 1.5},
        {"price": {"amount": -1, "currency": "EUR"}},
        {"price": {"amount": 10**18, "currency": "EUR"}},
        {"price": {"amount": 1, "currency": "eur"}},
        {"price": {"amount": 1, "currency": "EUR", "more": 1}},
        {"price": 4990},
        {"title": ""},
        {"title": "x" * 201},
        {"title": "a\u0000b"},
        {"images": ["javascript:alert(1)"]},
        {"images": ["/a.png"] * 21},
        {"attributes": {str(i): "x" for i in range(51)}},
        {"attributes": {"a": 1}},
        {"merchant_id": "mer_1"},
        {"id": "prd_1"},
        {"version": 9},
    ),
)
async def test_a_product_takes_nothing_else(register, fields):
    mia = await register("merchant")

    answer = await mia.ask("POST", "/api/v1/products", json={**PRODUCT, **fields})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "product_id", ("x", "prd_", "usr_0a306GQ7ZK3N0W4T8V5Y2R1C9B7DM", "..%2f..%2fetc", "*", ">")
)
async def test_an_id_that_is_none_is_not_found(api, product_id):
    assert (await api.get(f"/api/v1/products/{product_id}")).status_code == 404


async def test_a_retry_gets_the_first_answer(register):
    mia = await register("merchant")
    key = {"idempotency-key": "k1"}

    first = await mia.ask("POST", "/api/v1/products", json=PRODUCT, headers=key)
    again = await mia.ask("POST", "/api/v1/products", json=PRODUCT, headers=key)
    other = await mia.ask("POST", "/api/v1/products", json={**PRODUCT, "stock": 1}, headers=key)

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_twins_make_one_product(register):
    mia = await register("merchant")
    key = {"idempotency-key": os.urandom(8).hex()}

    answers = await asyncio.gather(
        *(mia.ask("POST", "/api/v1/products", json=PRODUCT, headers=key) for _ in range(6))
    )

    made = {a.json()["id"] for a in answers if a.status_code == 201}
    assert len(made) == 1
    assert {a.status_code for a in answers} <= {201, 409}


async def test_a_key_is_the_accounts_own(register):
    mia, other = await register("merchant"), await register("merchant")
    key = {"idempotency-key": "k1"}

    mias = await mia.ask("POST", "/api/v1/products", json=PRODUCT, headers=key)
    others = await other.ask("POST", "/api/v1/products", json=PRODUCT, headers=key)

    assert mias.json()["id"] != others.json()["id"]


async def test_a_bad_key_is_refused(register):
    mia = await register("merchant")
    for key in ("", "x" * 129, "tab\tkey"):
        answer = await mia.ask("POST", "/api/v1/products", json=PRODUCT, headers={"idempotency-key": key})

        assert answer.status_code == 400


async def test_a_search_pages_through_what_matches(api, register):
    mia = await register("merchant")
    word = os.urandom(4).hex()
    made = [
        (await mia.ask("POST", "/api/v1/products", json={**PRODUCT, "title": f"{word} {i}"})).json()
        for i in range(5)
    ]
    asked = {"query": word.upper(), "limit": 2, "after": made[-1]["position"]}

    seen, cursor = [], None
    while True:
        page = await api.get("/api/v1/products", params={**asked, **({"cursor": cursor} if cursor else {})})
        assert page.status_code == 200, page.text
        seen += page.json()["items"]
        cursor = page.json()["next"]
        if cursor is None:
            break

    assert seen == made[::-1]


async def test_a_list_shows_one_merchants_products(api, register):
    mia, other = await register("merchant"), await register("merchant")
    product = (await mia.ask("POST", "/api/v1/products", json=PRODUCT)).json()
    await other.ask("POST", "/api/v1/products", json=PRODUCT)

    page = await api.get(
        "/api/v1/products", params={"merchant": mia.user["id"], "after": product["position"]}
    )

    assert page.json() == {"items": [product], "next": None}


@pytest.mark.parametrize(
    "asked",
    ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"cursor": "AAAA"}, {"query": "x" * 101}, {"after": -1}),
)
async def test_a_list_refuses_what_it_does_not_know(api, asked):
    answer = await api.get("/api/v1/products", params=asked)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
