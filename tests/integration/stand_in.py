"""An observer that knows nothing: it gives the shortest true answer of each kind, for tests of what asks it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import assert_never

import msgspec

from cells.log import connection
from server.ops import words
from server.ops.asks import (
    QUEUE,
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
from tests.integration.conftest import Cell

CURSOR = "stand-in"


def answer_of(ask: Ask, cell: str) -> Answer:
    cursor = getattr(ask, "cursor", "")
    if cursor not in ("", CURSOR):
        return Declined("bad_request", "The cursor is not one of this list.")
    return Answered(msgspec.json.encode(_answer(ask, cell)))


def _answer(ask: Ask, cell: str) -> msgspec.Struct:  # noqa: C901, PLR0911, PLR0912 - one line a question
    match ask:
        case AskFrame():
            return _frame(cell)
        case AskCells():
            return words.Cells([])
        case AskProcesses():
            return words.Processes([])
        case AskSales():
            return words.Sales([], None, 1)
        case AskSale():
            return words.SaleDetail(_sale(ask.id), [], 1)
        case AskOrders():
            return words.Orders([], None, 1)
        case AskHolds():
            return words.Holds([], None, 1)
        case AskRooms():
            return words.Rooms([], 1)
        case AskMessages():
            return words.Messages([], 1)
        case AskLines():
            return words.Lines([], 1, 1)
        case AskCommit():
            return words.CommitDetail(ask.position, 0, "log.000.sale.x", 1, "", "", 0, [])
        case AskHealth():
            return words.Health([])
        case _:
            assert_never(ask)


def _sale(sale_id: str) -> words.SaleRow:
    return words.SaleRow(
        sale_id,
        "mer_1",
        "prd_1",
        "Lamps",
        "open",
        2,
        words.Price(1, "EUR"),
        *(1, 1, 0, 0, 0, 0, 0, 0, 0, 0),
        throttle=None,
        starts_at=None,
        ends_at=None,
        created_at=0,
        moved_at=0,
        moved_by="",
        reason="",
        taken=[],
    )


def _frame(cell: str) -> words.Frame:
    log = words.LogState(1, 1, "e", 1, "always", "sound", 1, 0.0)
    slots = [(0, 4095)]
    return words.Frame(
        cell, "live", 0, 1, None, False, 1, 1, slots, log, words.Totals(), [], [], [], [], [], 0, []
    )


@contextlib.contextmanager
def standing_in(cell: Cell) -> Iterator[list[Ask]]:
    """Answer in place of the cell's observer; yields the list of what was asked."""
    asked: list[Ask] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        bus = await connection.connect(cell.config.nats_url, "test")

        async def answer(message) -> None:
            ask = decode_ask(message.data)
            asked.append(ask)
            await message.respond(encode_answer(answer_of(ask, cell.config.cell)))

        await bus.subscribe(ask_subject(cell.config.cell), queue=QUEUE, cb=answer)
        await bus.flush()
        ready.set()
        await stop.wait()
        await connection.close(bus)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield asked
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
