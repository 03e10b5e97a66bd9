"""What operators are shown, short of a cell: what the observer is asked, and what it is told when it is away."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.datastructures import State
from nats.errors import NoRespondersError

from cells.kernel.clock import ManualClock
from cells.kernel.ids import new_id
from cells.log.memory import MemoryLog
from server.chat.history import History
from server.ops import http as ops
from server.ops.ask import Observer
from server.ops.asks import (
    Answer,
    Answered,
    Ask,
    AskCells,
    AskCommit,
    AskFrame,
    AskHealth,
    AskHolds,
    AskLines,
    AskMessages,
    AskOrders,
    AskProcesses,
    AskRooms,
    AskSale,
    AskSales,
    Declined,
    ask_subject,
    decode_ask,
    encode_answer,
)
from server.ops.rooms_http import Talk
from server.web.auth import Actor
from server.web.idempotency import Idempotency
from server.web.problem import on_error

# What Litestar 3 will ask for differently; pyproject.toml holds it below 3.
pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")

SALE = new_id("sal", 7, 1_800_000_000_000, bytes(10))


class ObservingBus:
    """A bus with an observer behind it that gives the same answer to everything; or with none."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.answer: Answer | Exception = Answered(b'{"items":[]}')

    async def request(self, subject: str, payload: bytes, _timeout: float) -> Any:
        assert subject == ask_subject("c1")
        self.asked.append(decode_ask(payload))
        if isinstance(self.answer, Exception):
            raise self.answer
        return Reply(encode_answer(self.answer))


class Reply:
    def __init__(self, data: bytes) -> None:
        self.data = data


class Viewer:
    """Lets everyone in as one viewer."""

    async def actor(self, _header: str | None) -> Actor:
        return Actor("opr_1", "viewer", "ana")


class NoDesk:
    """Rooms are not asked here."""


@pytest.fixture
def bus() -> ObservingBus:
    return ObservingBus()


@pytest.fixture
async def client(bus: ObservingBus) -> AsyncIterator[httpx.AsyncClient]:
    clock, log = ManualClock(), MemoryLog()
    talk = Talk(NoDesk(), History(log), log, Idempotency(log, clock), clock)  # type: ignore[arg-type]  # see there
    app = Litestar(
        list(ops.handlers(Observer(bus, "c1"), talk, "c1")),  # type: ignore[arg-type]  # what of a bus is used
        exception_handlers={Exception: on_error},
        state=State({"authenticator": Viewer()}),
        logging_config=None,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),  # type: ignore[arg-type]  # the same protocol, typed twice
        base_url="http://titan/api/v1/ops/",
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("address", "question"),
    (
        ("cells", AskCells()),
        ("processes", AskProcesses()),
        ("health", AskHealth()),
        ("frame", AskFrame()),
        ("frame?at=3&position=7", AskFrame(at=3, position=7)),
        ("sales", AskSales(limit=20)),
        (
            "sales?state=open&q=Lamp&limit=5&cursor=abc&at=9",
            AskSales(state="open", q="Lamp", limit=5, cursor="abc", at=9),
        ),
        (f"sales/{SALE}?position=4", AskSale(id=SALE, position=4)),
        (
            "orders?position=4&sale=sal_1&buyer=usr_1&payment=voided&q=x&limit=3&cursor=c",
            AskOrders(position=4, sale="sal_1", buyer="usr_1", payment="voided", q="x", limit=3, cursor="c"),
        ),
        (
            "holds?at=0&sale=sal_1&buyer=usr_1&status=expired&q=x",
            AskHolds(at=0, sale="sal_1", buyer="usr_1", status="expired", q="x", limit=20),
        ),
        ("rooms?at=5", AskRooms(at=5, limit=20)),
        (
            f"rooms/{SALE}/messages?position=5&before=9",
            AskMessages(room=SALE, position=5, before=9, limit=20),
        ),
        ("log", AskLines(limit=20)),
        (
            "log?after=4&subject=log.*.sale.>&type=UnitsHeld&limit=100",
            AskLines(after=4, subject="log.*.sale.>", type="UnitsHeld", limit=100),
        ),
        ("log?before=4", AskLines(before=4, limit=20)),
        ("log/12", AskCommit(12)),
    ),
)
async def test_what_is_asked_reaches_the_observer_and_its_answer_is_passed_on(
    client: httpx.AsyncClient, bus: ObservingBus, address: str, question: Ask
) -> None:
    answer = await client.get(address)

    assert (answer.status_code, answer.content) == (200, b'{"items":[]}')
    assert answer.headers["content-type"] == "application/json"
    assert bus.asked == [question]


async def test_what_it_declines_is_a_problem_with_its_code(
    client: httpx.AsyncClient, bus: ObservingBus
) -> None:
    bus.answer = Declined("not_found", "The log has not come that far.")

    answer = await client.get("frame?position=99")

    assert answer.status_code == 404
    assert (answer.json()["code"], answer.json()["detail"]) == ("not_found", "The log has not come that far.")


@pytest.mark.parametrize("why", (NoRespondersError(), TimeoutError()))
async def test_without_one_it_is_said_what_to_do(
    client: httpx.AsyncClient, bus: ObservingBus, why: Exception
) -> None:
    bus.answer = why

    answer = await client.get("frame")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "titan logs observer" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("address", "named"),
    (
        ("orders?sales=x", "'sales'; it has: at, buyer, cursor, limit, payment, position, q, sale."),
        ("whoami?x=1", "'x'; it has none."),
        ("orders?payment=free", "payment"),
        ("holds?status=HELD", "status"),
        ("sales?state=x", "state"),
        ("frame?at=now", "at"),
        ("frame?at=-1", "at"),
        ("frame?position=9007199254740993", "position"),
        ("log?after=1&before=2", "not both"),
        ("log?subject=log.*.sale%20x", "subject"),
        ("log?type=Units+Held", "type"),
        ("log?limit=101", "limit"),
        ("log/0", "log_position"),
        (f"sales?q={'x' * 201}", "q"),
        ("sales?q=a%0ab", "q"),
    ),
)
async def test_what_is_not_understood_is_refused_by_name(
    client: httpx.AsyncClient, bus: ObservingBus, address: str, named: str
) -> None:
    answer = await client.get(address)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert named in answer.json()["detail"]
    assert bus.asked == []


@pytest.mark.parametrize("sale", ("x", "sal_x", "prd_1"))
async def test_what_cannot_be_a_sale_is_not_asked_for(
    client: httpx.AsyncClient, bus: ObservingBus, sale: str
) -> None:
    for address in (f"sales/{sale}", f"rooms/{sale}/messages?at=1"):
        assert (await client.get(address)).status_code == 404
    assert bus.asked == []


async def test_without_a_database_orders_as_they_are_now_are_unavailable(client: httpx.AsyncClient) -> None:
    for address in ("orders", "holds"):
        answer = await client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
