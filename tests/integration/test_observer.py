"""The observer on a real nats-server: frames, questions, the past, and what becomes of it when it is killed."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cells.kernel import envelope
from cells.log.jetstream import JetStreamLog
from cells.log.port import Appended, Stored
from server.ops import answers, asks, rows, words
from server.ops.board import Board
from server.store.vocabulary import registries
from tests.contracts.nats_server import NatsServer, running_nats
from tests.integration.observer_process import ObserverProcess, Operator
from tests.unit.server.ops.written import SALE, drafted, held, moved, said
from tests.unit.server.store.history import History

COMMITS = 1_500


class Cell:
    """A log with a shop's past in it, and somebody who appends to it."""

    def __init__(self, server: NatsServer, log: JetStreamLog, folder: Path) -> None:
        self.server = server
        self.log = log
        self.folder = folder
        self.commits: list[Stored] = []
        self._ends: dict[str, tuple[int, int]] = {}

    async def append(self, subject: str, expected: int, body: bytes) -> int:
        outcome = await self.log.append(subject, body, expected)
        assert isinstance(outcome, Appended)
        self.commits.append(Stored(outcome.position, subject, body))
        return outcome.position

    async def shop(self, commits: int) -> int:
        """Append at least so many commits; return the last position."""
        shop = History(11)
        for subject, expected, body in shop.go_on(commits):
            shop.stored(subject, await self.append(subject, expected, body))
        return len(self.commits)

    async def commit(self, kind: str, *events: Any, key: str = SALE) -> int:
        """Append events that are given, as of now."""
        subject = f"log.007.{kind}.{key}"
        version, expected = self._ends.get(subject, (0, 0))
        body = envelope.encode(
            registries()[kind], version + 1, time.time_ns() // 1_000_000, bytes(32), events
        )
        position = await self.append(subject, expected, body)
        self._ends[subject] = version + 1, position
        return position

    def board(self, position: int | None = None) -> Board:
        """What the board has to be."""
        board = Board(registries())
        board.apply([c for c in self.commits if position is None or c.position <= position])
        return board

    def observer(self) -> ObserverProcess:
        return ObserverProcess(self.folder, self.server.url)


@pytest.fixture
async def cell(tmp_path: Path) -> AsyncIterator[Cell]:
    async with running_nats(tmp_path / "nats") as server:
        log = await JetStreamLog.open(server.url, tmp_path / "marks", "writer")
        try:
            yield Cell(server, log, tmp_path)
        finally:
            await log.close()


def expected(board: Board, at: int) -> dict[str, Any]:
    return {
        "position": board.position,
        "totals": rows.totals(board.state, 0),
        "sales": [rows.sale_row(key, sale, at) for key, sale in rows.first_sales(board.state, 100)],
    }


def agrees(frame: dict[str, Any], board: Board) -> None:
    wanted = expected(board, frame["at"])
    assert frame["position"] == wanted["position"]
    assert frame["totals"] == {
        name: getattr(wanted["totals"], name) for name in words.Totals.__struct_fields__
    }
    shown = {
        sale["id"]: (sale["state"], sale["held"], sale["sold"], sale["orders"]) for sale in frame["sales"]
    }
    assert shown == {sale.id: (sale.state, sale.held, sale.sold, sale.orders) for sale in wanted["sales"]}


async def test_frames_come_every_second_and_questions_are_answered_now_and_as_of_then(cell: Cell):
    commits = await cell.shop(COMMITS)
    async with Operator(cell.server.url) as operator, cell.observer():
        frame = await operator.frame_with(lambda f: f["position"] == commits and not f["catching_up"])
        agrees(frame, cell.board())
        assert (frame["first"], frame["last"], frame["log"]["state"]) == (1, commits, "sound")
        assert [alert["id"] for alert in frame["alerts"]] == ["supervisor"]
        assert len(frame["lines"]) == 20

        operator.forget()
        began = time.monotonic()
        for _ in range(3):
            await operator.frame()
        assert 1.0 <= time.monotonic() - began <= 5.0

        for position in (0, 1, 700, 701, 699, commits - 1, commits):
            agrees(await operator.ask(asks.AskFrame(position=position)), cell.board(position))

        at = envelope.peek(cell.commits[900].body).at
        past = await operator.ask(asks.AskFrame(at=at))
        assert (past["mode"], past["at"], past["catching_up"]) == ("replay", at, False)
        assert envelope.peek(cell.commits[past["position"] - 1].body).at <= at
        assert envelope.peek(cell.commits[past["position"]].body).at > at
        agrees(past, cell.board(past["position"]))


async def test_every_question_has_its_answer(cell: Cell):
    await cell.shop(400)
    await cell.commit("sale", drafted())
    await cell.commit("sale", moved("armed"), moved("open"))
    await cell.commit("sale", held("h1", 1, 2))
    last = await cell.commit("room", said("m1", "hello"))
    board = cell.board().state
    async with Operator(cell.server.url) as operator, cell.observer():
        await operator.frame_with(lambda f: f["position"] == last)

        (row,) = (await operator.ask(asks.AskCells()))["items"]
        assert (row["id"], row["state"], row["position"], row["slots"]) == (
            "c1",
            "unknown",
            last,
            [[0, 4095]],
        )
        assert (await operator.ask(asks.AskProcesses()))["items"] == []
        page = await operator.ask(asks.AskSales(limit=2))
        assert [sale["id"] for sale in page["items"]] == [key for key, _ in rows.first_sales(board, 2)]
        rest = await operator.ask(asks.AskSales(cursor=page["next"], limit=200))
        assert len(page["items"]) + len(rest["items"]) == len(board.sales)
        detail = await operator.ask(asks.AskSale(id=SALE))
        assert [move["what"] for move in detail["moves"]] == ["open", "arm"]
        absent = await operator.answer(asks.AskSale(id=SALE, position=400))
        assert isinstance(absent, asks.Declined)
        assert absent.code == "not_found"
        holds = await operator.ask(asks.AskHolds(status="held"))
        assert holds["items"][0] | {"created_at": 0, "expires_at": 0} == {
            "id": "h1",
            "sale_id": SALE,
            "buyer_id": "usr_b",
            "quantity": 2,
            "units": [1, 2],
            "status": "held",
            "created_at": 0,
            "expires_at": 0,
            "settled_at": 0,
            "position": last - 1,
        }
        orders = await operator.ask(asks.AskOrders(limit=200))
        wanted = answers.orders(board, asks.AskOrders(limit=200), None)
        assert [order["id"] for order in orders["items"]] == [order.id for order in wanted.items]
        assert [room["id"] for room in (await operator.ask(asks.AskRooms()))["items"]] == [SALE]
        assert (await operator.ask(asks.AskMessages(room=SALE)))["items"][0]["text"] == "hello"
        assert (await operator.ask(asks.AskHealth()))["items"]

        declined = (
            (asks.AskFrame(position=last + 1), "bad_request"),
            (asks.AskSales(cursor="x"), "bad_request"),
            (asks.AskMessages(room="sal_none"), "not_found"),
            (asks.AskCommit(last + 1), "not_found"),
            (asks.AskCommit(0), "not_found"),
            (asks.AskLines(subject="log..>"), "bad_request"),
        )
        for ask, code in declined:
            found = await operator.answer(ask)
            assert isinstance(found, asks.Declined)
            assert found.code == code, ask
        for payload in (b"", b"\xff", b"\x81\xa3ask\xa4nope"):
            nonsense = await operator.raw(payload)
            assert isinstance(nonsense, asks.Declined)
            assert nonsense.code == "bad_request"


async def test_the_log_is_walked_forth_and_back(cell: Cell):
    commits = await cell.shop(COMMITS)
    key = next(c.subject for c in cell.commits if ".sale." in c.subject)
    mine = [c.position for c in cell.commits if c.subject == key]
    async with Operator(cell.server.url) as operator, cell.observer():
        await operator.frame_with(lambda f: f["position"] == commits)

        newest = await operator.ask(asks.AskLines(limit=10))
        assert newest["items"][-1]["position"] == newest["last"] == newest["end"] == commits
        assert 10 <= len(newest["items"]) < 30

        seen: list[dict[str, Any]] = []
        before = commits + 1
        while True:
            page = await operator.ask(asks.AskLines(before=before, limit=200))
            seen = page["items"] + seen
            if page["start"] <= page["first"]:
                break
            before = page["start"]
        assert sorted({line["position"] for line in seen}) == list(range(1, commits + 1))
        assert [(line["position"], line["index"]) for line in seen] == sorted(
            (line["position"], line["index"]) for line in seen
        )

        for pattern in (key, key.removeprefix("log.")):
            found, after = [], 0
            while after < commits:
                page = await operator.ask(asks.AskLines(after=after, limit=50, subject=pattern))
                found += [line["position"] for line in page["items"]]
                after = page["end"]
            assert sorted(set(found)) == mine

        killed = await operator.ask(asks.AskLines(type="SaleDrafted", limit=200))
        assert {line["type"] for line in killed["items"]} == {"SaleDrafted"}

        stored = cell.commits[mine[0] - 1]
        commit = await operator.ask(asks.AskCommit(mine[0]))
        assert (commit["subject"], commit["size"]) == (key, len(stored.body))
        assert commit["hash"] == envelope.digest(stored.body).hex()
        assert commit["events"][0]["type"] == "SaleDrafted"
        assert commit["events"][0]["data"]["price"]["currency"] == "EUR"


async def test_what_changes_is_shown_at_once(cell: Cell):
    await cell.commit("sale", drafted())
    async with Operator(cell.server.url) as operator, cell.observer():
        await operator.frame_with(lambda f: f["position"] == 1)
        for state in ("armed", "open", "paused"):
            await operator.frame()
            operator.forget()
            began = time.monotonic()
            await cell.commit("sale", moved(state))
            await operator.frame_with(lambda f: f["sales"][0]["state"] == state)  # noqa: B023 - heard in this turn
            assert time.monotonic() - began < 0.8


async def test_killed_and_started_again_it_shows_the_same(cell: Cell):
    commits = await cell.shop(COMMITS)
    async with Operator(cell.server.url) as operator:
        async with cell.observer() as observer:
            await operator.frame_with(lambda f: f["position"] == commits)
            await observer.end(signal.SIGKILL)
        last = await cell.commit("sale", drafted())
        operator.forget()
        async with cell.observer() as observer:
            agrees(await operator.frame_with(lambda f: f["position"] == last), cell.board())
            agrees(await operator.ask(asks.AskFrame(position=777)), cell.board(777))
            assert await observer.end(signal.SIGTERM) == 0


async def test_it_goes_on_when_the_log_comes_back(cell: Cell):
    last = await cell.shop(200)
    async with Operator(cell.server.url) as operator, cell.observer() as observer:
        await operator.frame_with(lambda f: f["position"] == last)
        cell.server.kill()
        await asyncio.sleep(1.5)
        cell.server.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    last = await cell.commit("sale", drafted())
                    break
                except AssertionError:
                    await asyncio.sleep(0.1)
        operator.forget()
        frame = await operator.frame_with(lambda f: f["position"] == last and f["log"]["state"] == "sound")
        agrees(frame, cell.board())
        assert psutil.pid_exists(observer.pid)


async def test_events_of_nobody_are_shown_and_stop_nothing(cell: Cell):
    await cell.commit("sale", drafted())
    await cell.append("log.007.weather.w1", 0, b"\x94\x01\x01\xc4\x00\x91\x93\xa6Rained\x01\x90")
    await cell.append("log.007.sale.sal_x", 0, b"\xff\xfe")
    last = await cell.commit("sale", moved("armed"))
    async with Operator(cell.server.url) as operator, cell.observer():
        frame = await operator.frame_with(lambda f: f["position"] == last)
        assert {alert["id"] for alert in frame["alerts"]} >= {"log:unknown"} or (
            await operator.frame_with(lambda f: "log:unknown" in {a["id"] for a in f["alerts"]})
        )
        assert [line["text"] for line in frame["lines"]] == [
            "drafted “Sneakers”, 10 units at 49.90 EUR",
            "“Rained” version 1, which this release does not know",
            "bytes that are no commit",
            "sale is armed",
        ]
        assert frame["sales"][0]["state"] == "armed"
        commit = await operator.ask(asks.AskCommit(2))
        assert commit["events"] == [{"type": "Rained", "version": 1, "data": {}}]


async def test_many_operators_who_look_at_different_moments_get_each_their_own(cell: Cell):
    commits = await cell.shop(COMMITS)
    async with Operator(cell.server.url) as operator, cell.observer():
        await operator.frame_with(lambda f: f["position"] == commits)
        wanted = [100, 1_400, 800, 101, 1_399, 5, 801, 102]
        frames = await asyncio.gather(*(operator.ask(asks.AskFrame(position=p)) for p in wanted))

        for position, frame in zip(wanted, frames, strict=True):
            assert frame["target"] == position
            agrees(frame, cell.board(frame["position"]))
