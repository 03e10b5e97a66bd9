"""Every operators' route for everybody: exact answers, and what is refused has changed nothing."""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cells.log.jetstream import JetStreamLog
from server.accounts.operators import CACHED_MS
from tests.integration.routes import routes_of
from tests.integration.shop import OPS_BODIES, STEPS, Shop, opened

PREFIX = "/api/v1/ops/"
WHO = ("nobody", "garbage", "buyer", "merchant", "viewer", "operator", "admin", "revoked")
STRANGERS = {"nobody": 401, "garbage": 401, "buyer": 403, "merchant": 403, "revoked": 401}

WATCHED = {**STRANGERS, "viewer": 200, "operator": 200, "admin": 200}
ACTED = {**STRANGERS, "viewer": 403, "operator": 200, "admin": 200}
ADMINISTERED = {**STRANGERS, "viewer": 403, "operator": 403, "admin": 200}

ROWS: dict[tuple[str, str], tuple[str, dict[str, int]]] = {
    ("get", "whoami"): ("opsWhoAmI", WATCHED),
    ("get", "cells"): ("opsListCells", WATCHED),
    ("get", "frame"): ("opsGetFrame", WATCHED),
    ("get", "processes"): ("opsListProcesses", WATCHED),
    ("get", "health"): ("opsGetHealth", WATCHED),
    ("get", "sales"): ("opsListSales", WATCHED),
    ("get", "sales/{sale_id}"): ("opsGetSale", WATCHED),
    ("get", "orders"): ("opsListOrders", WATCHED),
    ("get", "holds"): ("opsListHolds", WATCHED),
    ("get", "rooms"): ("opsListRooms", WATCHED),
    ("get", "rooms/{sale_id}/messages"): ("opsListRoomMessages", WATCHED),
    ("get", "log"): ("opsListLog", WATCHED),
    ("get", "log/{log_position}"): ("opsGetCommit", WATCHED),
    ("post", "sales/{sale_id}/arm"): ("opsArmSale", ACTED),
    ("post", "sales/{sale_id}/open"): ("opsOpenSale", ACTED),
    ("post", "sales/{sale_id}/pause"): ("opsPauseSale", ACTED),
    ("post", "sales/{sale_id}/resume"): ("opsResumeSale", ACTED),
    ("post", "sales/{sale_id}/end"): ("opsEndSale", ACTED),
    ("post", "sales/{sale_id}/kill"): ("opsKillSale", ACTED),
    ("post", "sales/{sale_id}/throttle"): ("opsThrottleSale", ACTED),
    ("post", "rooms/{sale_id}/moderate"): ("opsModerateRoom", ACTED),
    ("get", "operators"): ("opsListOperators", ADMINISTERED),
    ("delete", "operators/{name}"): ("opsRevokeOperator", {**ADMINISTERED, "admin": 204}),
}
"""By method and path: the operation, and what everybody is answered."""


@pytest.fixture(scope="module")
def shop(cell) -> Iterator[Shop]:
    with opened(cell) as shop:
        name = shop.operator("admin", "revoked")
        assert cell.titan("operator", "revoke", name).returncode == 0
        shop.tokens["garbage"] = f"tk_{'0' * 35}.{'A' * 43}"
        yield shop


async def test_every_route_has_a_row(cell):
    served = {(method, path) for method, path in await routes_of(cell) if path.startswith(PREFIX)}

    assert served == {(method, PREFIX + path) for method, path in ROWS}


def ask(shop: Shop, who: str, method: str, path: str, ids: dict[str, str], operation: str) -> httpx.Response:
    body: dict[str, Any] = {"json": OPS_BODIES.get(operation, {})} if method == "post" else {}
    headers = {**shop.headers(who), "idempotency-key": os.urandom(8).hex()}
    return shop.client.request(method, PREFIX + path.format(**ids), headers=headers, **body)


@pytest.mark.parametrize(("method", "path"), ROWS)
def test_everybody_is_answered_as_they_may(shop, method, path):
    operation, expected = ROWS[method, path]
    found = {}
    for who in WHO:
        answer = ask(shop, who, method, path, shop.ids_for(operation), operation)
        found[who] = answer.status_code
        if answer.status_code >= 400:
            code = {401: "unauthenticated", 403: "forbidden"}[answer.status_code]
            assert answer.json()["code"] == code, (who, answer.text)
            if method != "get":
                assert answer.headers["titan-outcome"] == "not-applied", who

    assert found == expected


async def commits(log: JetStreamLog) -> dict[str, int]:
    """Return how many commits each aggregate has that an operator could act on, and each idempotency key."""
    found: dict[str, int] = {}
    for kind in ("sale", "room", "opr", "idm"):
        found |= await log.subjects(f"log.*.{kind}.*")
    return found


async def test_what_is_refused_has_changed_nothing(cell, shop):
    sales = {state: shop.new_sale(state) for state in sorted(set(STEPS.values()))}
    log = await JetStreamLog.open(cell.config.nats_url, cell.data / "marks-of-tests", "test")
    try:
        before = await commits(log)
        asked = 0
        for ((method, path), (operation, expected)), who in itertools.product(ROWS.items(), WHO):
            if method == "get" or expected[who] < 400:
                continue
            ids = {"sale_id": sales[STEPS.get(operation, "open")], "name": "doomed"}
            answer = await asyncio.to_thread(ask, shop, who, method, path, ids, operation)
            assert answer.status_code == expected[who], answer.text
            asked += 1

        assert asked > 40
        assert await commits(log) == before
    finally:
        await log.close()


def test_a_key_that_is_revoked_while_it_is_in_use_is_refused_within_five_seconds(shop):
    name = shop.operator("operator", "leaving")
    address, headers = f"{PREFIX}whoami", shop.headers("leaving")
    assert shop.client.get(address, headers=headers).status_code == 200

    revoked = shop.client.delete(f"{PREFIX}operators/{name}", headers=shop.headers("admin"))
    began = time.monotonic()

    assert revoked.status_code == 204
    while shop.client.get(address, headers=headers).status_code == 200:
        assert time.monotonic() - began < CACHED_MS / 1000 + 0.5
        time.sleep(0.1)
    pause = ask(shop, "leaving", "post", "sales/{sale_id}/pause", {"sale_id": shop.sale}, "opsPauseSale")
    assert pause.status_code == 401
    assert shop.client.get(f"/api/v1/sales/{shop.sale}").json()["state"] == "open"
