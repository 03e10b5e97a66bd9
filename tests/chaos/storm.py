"""A sell-out under a fault: thousands of buyers with retries, a fault in mid-sale, and a verdict that reads the log."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from cells.kernel import envelope
from cells.kernel.ids import slot_in
from cells.log import subjects
from cells.log.jetstream import JetStreamLog
from fixtures.demo.history import Attempt, Terms
from fixtures.demo.ledger import read_ledger
from fixtures.demo.recorder import Intent, Recorder
from fixtures.demo.verdict import Verdict, judge
from fixtures.load.actors import Actor, NewProduct, NewSale, Price, Shop
from fixtures.load.http import Client, target_of
from fixtures.seed import sign_buyers
from server.flash_sale.model import EVENTS, Event, UnitsHeld, WriterChanged
from tests.integration.conftest import Cell

BUYERS, STOCK, LIMIT = 3_000, 1_000, 2
CONNECTIONS = 128
DEFINITE_SECONDS = 60.0
PAUSE_SECONDS = 0.05
FAULT_AFTER = STOCK // 4

_numbers = itertools.count()

Fault = Callable[[], Awaitable[None]]


class Storm(msgspec.Struct):
    """A run: what every client saw, and what the cell says afterwards."""

    sale_id: str
    history: list[Attempt]
    verdict: Verdict
    logged: dict[str, UnitsHeld]
    terms: list[int]
    replays: list[Attempt]

    @property
    def acknowledged(self) -> dict[str, Attempt]:
        """The first 201 of every key that got one."""
        return {a.key: a for a in reversed(self.history) if a.kind == "hold" and a.outcome == "ok"}


async def _open(shop: Shop, merchant: Actor) -> str:
    key = f"storm-{next(_numbers)}"
    price = Price(4990, "EUR")
    product = await shop.create_product(merchant, NewProduct("Storm", "", price, STOCK), key)
    sale = NewSale(product, "Storm", price, stock=STOCK, per_buyer_limit=LIMIT, hold_seconds=3600)
    return await shop.open_sale(merchant, sale, key)


class Crowd:
    """All buyers of one sale. Each wants units until it has them, the sale is sold out, or its limit is reached."""

    def __init__(self, recorder: Recorder, sale_id: str) -> None:
        self._recorder = recorder
        self._path = f"/api/v1/sales/{sale_id}/holds"
        self._granted = 0
        self.enough = asyncio.Event()

    def intent(self, buyer: Actor, number: int, quantity: int) -> Intent:
        """Describe what a buyer wants; asked again with the same key, it is the same wish."""
        body = b'{"quantity":%d}' % quantity
        key = f"{buyer.id}-{number}"
        return Intent("hold", buyer.id, buyer.token, key, "POST", self._path, body, quantity)

    async def buy(self, buyer: Actor, number: int) -> None:
        """Try two units, and one when there are not two left; a further unit beyond the limit must be refused."""
        first = await self.until_definite(self.intent(buyer, 0, 1 + number % 2))
        if first.outcome == "ok":
            self._granted += len(first.units)
            if self._granted >= FAULT_AFTER:
                self.enough.set()
        if first.code == "sold_out" and number % 2:
            await self.until_definite(self.intent(buyer, 1, 1))
        elif first.outcome == "ok":
            await self.until_definite(self.intent(buyer, 2, 2))

    async def until_definite(self, intent: Intent) -> Attempt:
        """Ask until a yes or a definite no that is not about the moment."""
        async with asyncio.timeout(DEFINITE_SECONDS):
            while True:
                made = await self._recorder.attempt(intent)
                if made.outcome == "ok":
                    return made
                if made.outcome == "fail" and made.status == 409:
                    return made
                await asyncio.sleep(PAUSE_SECONDS)


async def run_storm(cell: Cell, merchant: Actor, fault: Fault | None = None) -> Storm:
    """Sell a sale out while `fault` happens, then collect what everybody says."""
    buyers = sign_buyers(cell.config, BUYERS)
    async with Client(target_of(cell.api), CONNECTIONS) as client:
        shop = Shop(client)
        sale_id = await _open(shop, merchant)
        recorder = Recorder(client, client, timeout=8.0)
        crowd = Crowd(recorder, sale_id)

        async def harm() -> None:
            await crowd.enough.wait()
            if fault is not None:
                await fault()

        harming = asyncio.create_task(harm())
        places = asyncio.Semaphore(CONNECTIONS)

        async def one(number: int, buyer: Actor) -> None:
            async with places:
                await crowd.buy(buyer, number)

        await asyncio.gather(*(one(n, buyer) for n, buyer in enumerate(buyers)))
        await harming
        tokens = {buyer.id: buyer.token for buyer in buyers}
        promised = Terms(STOCK, LIMIT, 3600)
        ledger = await read_ledger(client, merchant, sale_id, recorder.history, tokens)
        verdict = judge(recorder.history, promised, ledger)
        seen = list(recorder.history)
        replays = await _repeat(Recorder(client, client, timeout=8.0), sale_id, seen, tokens)
    events = await _events(cell, sale_id)
    logged = {e.hold_id: e for e in events if isinstance(e, UnitsHeld)}
    terms = [e.term for e in events if isinstance(e, WriterChanged)]
    return Storm(sale_id, seen, verdict, logged, terms, replays)


async def _repeat(
    recorder: Recorder, sale_id: str, history: list[Attempt], tokens: dict[str, str]
) -> list[Attempt]:
    """Ask once more for everything that was acknowledged, long after the sale was sold out."""
    crowd = Crowd(recorder, sale_id)
    acked = {a.key: a for a in history if a.outcome == "ok"}.values()
    places = asyncio.Semaphore(CONNECTIONS)

    async def again(a: Attempt) -> Attempt:
        number = int(a.key.rpartition("-")[2])
        async with places:
            return await crowd.until_definite(
                crowd.intent(Actor(a.buyer, tokens[a.buyer], ""), number, a.quantity)
            )

    return list(await asyncio.gather(*(again(a) for a in acked)))


async def _events(cell: Cell, sale_id: str) -> list[Event]:
    """Read a sale from the log itself."""
    log = await JetStreamLog.open(cell.config.nats_url, Path(cell.config.data) / "marks", "chaos")
    events: list[Event] = []
    try:
        async for batch in log.read(subjects.subject(slot_in(sale_id), "sale", sale_id)):
            for stored in batch:
                events += envelope.decode(EVENTS, stored.body).events
    finally:
        await log.close()
    return events
