"""Hostile requests to the lists of orders are refused before anything is read."""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from litestar.datastructures import State

from cells.log.memory import MemoryLog
from server.orders.http import handlers
from server.store.waiting import Projected
from server.web import cursors
from server.web.auth import Actor
from server.web.problem import on_error


class Buyer:
    """Lets everyone in as one buyer."""

    async def actor(self, _header: str | None) -> Actor:
        return Actor("usr_x", "buyer", "")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        list(handlers(Projected(), MemoryLog())),
        exception_handlers={Exception: on_error},
        state=State({"authenticator": Buyer()}),
        logging_config=None,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://titan") as opened:  # type: ignore[arg-type]  # the same protocol, typed twice
        yield opened


@pytest.mark.parametrize(
    "query",
    (
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"after": -1},
        {"after": 10**30},
        {"cursor": "x"},
        {"cursor": "A" * 600},
        {"cursor": "' OR 1=1 --"},
        {"cursor": cursors.encode("sales", (1, "x"))},
        {"cursor": cursors.encode("orders:merchant", (1, "x"))},
        {"cursor": cursors.encode("orders:buyer", "x")},
        {"cursor": cursors.encode("orders:buyer", ("1", 1))},
        {"cursor": cursors.encode("orders:buyer", (2**64 - 1, "x"))},
        {"cursor": cursors.encode("orders:buyer", (1, "\0"))},
    ),
)
async def test_a_hostile_query_is_a_bad_request(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await client.get("/api/v1/orders", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_without_a_database_the_list_is_unavailable_for_now(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/orders")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
