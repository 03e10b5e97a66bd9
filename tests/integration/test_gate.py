"""The gate refuses nobody wrongly, whatever it was restored to, and repairs itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import pytest
from redis.asyncio import Redis

from cells.engine.hot import Changed
from fixtures.cell import find
from fixtures.load import engines
from fixtures.load.actors import Actor, NewProduct, NewSale, Price, Shop
from fixtures.load.http import Client, target_of
from fixtures.load.response import Response
from fixtures.seed import sign_buyers, sign_merchant
from server.flash_sale.gate import NO_RATE, Entry, Rate, ValkeyGate, sale_key
from server.flash_sale.gatekeeper import Gatekeeper
from server.flash_sale.model import Sale, UnitsHeld
from tests.contracts.valkey_server import running_valkey
from tests.integration.conftest import Cell

REPAIR_SECONDS = 5.0
RESTART_SECONDS = 30.0
ONE_OF_EACH = {
    'titan_http_total{class="2xx"}',
    'titan_commands_total{family="sales"}',
    "titan_append_seconds_count",
    "titan_commit_events_count",
    "titan_projection_position",
    "titan_sockets",
    "titan_channels",
}
"""Series of api, writer, projector and hub."""


class Market:
    """One sale of three units, its buyers, and its hash in the gate in the hands of an administrator."""

    def __init__(self, cell: Cell, client: Client, valkey: Redis, sale_id: str, buyers: list[Actor]) -> None:
        self.cell, self.client, self.valkey = cell, client, valkey
        self.sale_id, self.buyers = sale_id, buyers
        self.key = sale_key(cell.config.cell, sale_id)

    async def hold(self, buyer: int, quantity: int, key: str) -> Response:
        body = b'{"quantity":%d}' % quantity
        token = self.buyers[buyer].token
        path = f"/api/v1/sales/{self.sale_id}/holds"
        answer = await self.client.call("POST", path, token=token, key=key, body=body)
        assert isinstance(answer, Response)
        return answer

    async def release(self, buyer: int, hold: Response) -> None:
        path = f"/api/v1/holds/{Market.id_of(hold)}"
        answer = await self.client.call("DELETE", path, token=self.buyers[buyer].token)
        assert isinstance(answer, Response)
        assert answer.status == 204

    @staticmethod
    def id_of(hold: Response) -> str:
        return hold.body.partition(b'"hold_id":"')[2].partition(b'"')[0].decode()

    async def shown(self, field: str) -> str | None:
        value = await self.valkey.hget(self.key, field)
        return value.decode() if isinstance(value, bytes) else value

    async def until_shown(self, field: str, value: str) -> None:
        end = time.monotonic() + REPAIR_SECONDS
        while await self.shown(field) != value:
            assert time.monotonic() < end, f"{field} is {await self.shown(field)}, not {value}"
            await asyncio.sleep(0.01)

    async def until_metered(self, shown: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        end = time.monotonic() + REPAIR_SECONDS
        while not shown(series := await scraped(self.client)):
            assert time.monotonic() < end, series
            await asyncio.sleep(0.1)
        return series

    async def copy(self) -> bytes:
        copied = await self.valkey.dump(self.key)
        assert copied is not None
        return copied

    async def restore(self, copied: bytes) -> None:
        await self.valkey.restore(self.key, 0, copied, replace=True)


@pytest.fixture
async def market(cell: Cell) -> AsyncIterator[Market]:
    running = find(cell.data)
    assert running is not None
    merchant, price = sign_merchant(cell.config), Price(100, "EUR")
    async with Client(target_of(cell.api), 8) as client:
        shop = Shop(client)
        key = f"gate-{time.monotonic_ns()}"
        product = await shop.create_product(merchant, NewProduct("Gate", "", price, 3), key)
        wanted = NewSale(product, "Gate", price, stock=3, per_buyer_limit=2, hold_seconds=600)
        sale_id = await shop.open_sale(merchant, wanted, key)
        valkey = Redis.from_url(engines.redis_url(running))
        yield Market(cell, client, valkey, sale_id, sign_buyers(cell.config, 4))
        await valkey.aclose()


async def test_a_copy_that_shows_sold_out_refuses_nobody(market: Market) -> None:
    """Units came back after the copy was made: the restored gate is older than what this cell has heard."""
    first = await market.hold(0, 2, "a")
    assert (await market.hold(1, 1, "b")).status == 201
    await market.until_shown("available", "0")
    sold_out = await market.copy()
    await market.release(0, first)
    await market.restore(sold_out)
    assert (await market.hold(2, 2, "c")).status == 201
    await market.until_shown("available", "0")
    assert (await market.hold(3, 1, "d")).status == 409


async def test_a_copy_that_shows_a_full_limit_refuses_nobody(market: Market) -> None:
    first = await market.hold(0, 2, "a")
    await market.until_shown("available", "1")
    full = await market.copy()
    await market.release(0, first)
    await market.restore(full)
    assert (await market.hold(0, 2, "b")).status == 201


async def test_a_copy_that_shows_too_much_sells_nothing_twice(market: Market) -> None:
    await market.until_shown("available", "3")
    plenty = await market.copy()
    assert (await market.hold(0, 2, "a")).status == 201
    assert (await market.hold(1, 1, "b")).status == 201
    await market.restore(plenty)
    refused = await market.hold(2, 1, "c")
    assert (refused.status, b'"sold_out"' in refused.body) == (409, True)


async def test_an_emptied_gate_is_rebuilt_without_a_hand(market: Market) -> None:
    assert (await market.hold(0, 2, "a")).status == 201
    await market.until_shown("available", "1")
    await market.valkey.delete(market.key)
    await market.until_shown("available", "1")
    assert await market.valkey.hget(market.key, f"b{market.buyers[0].id}") == b"2"


async def test_a_gate_written_by_another_hand_is_rebuilt(market: Market) -> None:
    await market.until_shown("available", "3")
    await market.valkey.hset(market.key, mapping={"available": 0, "version": 999})
    await market.until_shown("available", "3")
    assert (await market.hold(0, 1, "a")).status == 201


async def test_a_repeat_passes_the_gate_after_the_sale_is_sold_out(market: Market) -> None:
    first = await market.hold(0, 2, "a")
    assert (await market.hold(1, 1, "b")).status == 201
    await market.until_shown("available", "0")
    again = await market.hold(0, 2, "a")
    assert (again.status, again.body, again.replayed) == (201, first.body, True)


async def test_a_refusal_by_the_gate_reads_like_one_by_the_rules(market: Market) -> None:
    """Who says no makes no difference to the client."""
    assert (await market.hold(0, 2, "a")).status == 201
    await market.valkey.delete(market.key)
    by_rules = await market.hold(0, 1, "b")
    await market.until_shown("available", "1")
    by_gate = await market.hold(0, 1, "c")
    for refusal in (by_rules, by_gate):
        assert refusal.status == 409
        assert b'"code":"limit_reached"' in refusal.body
        assert refusal.not_applied


async def test_an_api_that_was_just_started_hears_of_a_sale_and_refuses_by_the_gate(market: Market) -> None:
    """Its first refusals are the writer's, and make it ask; later ones need no writer."""
    assert (await market.hold(0, 2, "a")).status == 201
    held = await market.hold(1, 1, "b")
    await market.until_shown("available", "0")
    assert market.cell.titan("restart", "api").returncode == 0
    await until_ready(market.cell)
    commands, appends = 'titan_commands_total{family="sales"}', "titan_append_seconds_count"
    async with Client(target_of(market.cell.api), 8) as market.client:
        before = await market.until_metered(lambda series: series.keys() >= {commands, appends})
        for number in range(20):
            refused = await market.hold(2, 1, f"c{number}")
            assert (refused.status, b'"sold_out"' in refused.body) == (409, True)
        # Who shows the append of the release has counted every command before it.
        await market.release(1, held)
        after = await market.until_metered(lambda series: series[appends] > before[appends])
    assert before[commands] + 1 < after[commands] < before[commands] + 20


async def until_ready(cell: Cell) -> None:
    async with asyncio.timeout(RESTART_SECONDS):
        while await asyncio.to_thread(find, cell.data) is None:  # noqa: ASYNC110 - other processes have to be
            await asyncio.sleep(0.05)


async def test_the_gate_was_asked_all_along(market: Market) -> None:
    """A gate that fails is left out in silence, so that it works has to be looked at."""
    asked = await gate_calls(market.client)
    assert (await market.hold(0, 2, "a")).status == 201
    await market.until_shown("available", "1")
    assert (await market.hold(0, 1, "b")).status == 409
    assert await gate_calls(market.client) == asked + 2


async def test_all_processes_are_in_the_metrics_and_count_on(market: Market) -> None:
    before = await market.until_metered(lambda series: len(series.keys() & ONE_OF_EACH) == len(ONE_OF_EACH))
    assert (await market.hold(0, 2, "a")).status == 201
    assert (await market.hold(0, 1, "b")).status == 409

    def grown(series: dict[str, float]) -> bool:
        return all(series[key] > before[key] for key in ONE_OF_EACH - {"titan_sockets", "titan_channels"})

    after = await market.until_metered(grown)
    granted, refused = 'titan_holds_total{outcome="granted"}', 'titan_holds_total{outcome="limit_reached"}'
    assert (after[granted], after[refused]) == (before[granted] + 1, before[refused] + 1)
    assert after["titan_hold_seconds_count"] == before["titan_hold_seconds_count"] + 2
    for process in ("api", "writer", "hub", "projector"):
        assert after[f'titan_process_rss_bytes{{process="{process}"}}'] > 1e7
        assert after[f'titan_process_cpu_seconds_total{{process="{process}"}}'] > 0


async def gate_calls(client: Client) -> int:
    """Return how often the gate has answered this cell's api."""
    return int((await scraped(client))["titan_gate_seconds_count"])


async def scraped(client: Client) -> dict[str, float]:
    metrics = await client.call("GET", "/metrics")
    assert isinstance(metrics, Response)
    assert metrics.status == 200
    lines = [line for line in metrics.body.decode().splitlines() if not line.startswith("#")]
    return {key: float(value) for key, _, value in (line.rpartition(" ") for line in lines)}


class Meddling(Redis):
    """Restores an old copy of a key behind every write of a hash."""

    stale: tuple[Redis, str, bytes] | None = None

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        answer = await super().execute_command(*args, **options)
        if self.stale is not None and args[0] == "HSET":
            valkey, key, copied = self.stale
            await valkey.restore(key, 0, copied, replace=True)
        return answer


@pytest.fixture
async def valkey() -> AsyncIterator[Redis]:
    with running_valkey() as url:
        client = Redis.from_url(url)
        yield client
        await client.aclose()


async def until_version(valkey: Redis, key: str, version: bytes) -> None:
    async with asyncio.timeout(REPAIR_SECONDS):
        while await valkey.hget(key, "version") != version:  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(0.005)


async def test_an_old_copy_restored_in_the_middle_of_a_rebuild_is_replaced_whole(valkey: Redis) -> None:
    """Else the newest version would stand over keys that lack a granted one, and its repeat would be refused."""
    key = sale_key("t", "sal_1")
    sale = Sale(id="sal_1", state="open", stock=2, per_buyer_limit=2)
    meddler = Meddling(unix_socket_path=valkey.connection_pool.connection_kwargs["path"])
    keeper = Gatekeeper(meddler, "t", 1)
    keeping = asyncio.create_task(keeper.run())
    keeper.loaded(Changed("sal_1", sale, 1, 1, []))
    await until_version(valkey, key, b"1")
    copied = await valkey.dump(key)
    assert copied is not None

    held = UnitsHeld("hld_1", "usr_a", (1, 2), b"granted", 0, 0)
    sale.held, sale.keys[held.key], sale.taken["usr_a"] = 2, held.hold_id, 2
    meddler.stale = (valkey, key, copied)
    await valkey.delete(key)
    keeper.changed(Changed("sal_1", sale, 2, 2, [held]))
    await until_version(valkey, key, b"2")
    keeping.cancel()

    asked = [Entry("sal_1", "usr_a", 2, each, 2) for each in (b"granted", b"another")]
    answers = await ValkeyGate(valkey, "t", NO_RATE).check(asked)
    assert [each.code for each in answers] == ["", "limit_reached"]
    assert await valkey.keys("*") == [key.encode()]
    await meddler.aclose()


class TestTheScript:
    """What the script answers, asked directly: pass, not open, limit reached, sold out, rate limited."""

    OPEN: ClassVar[dict[str, int]] = {"epoch": 7, "version": 5, "open": 1, "available": 2, "limit": 3}

    async def ask(self, valkey: Redis, *entries: Entry, rate: Rate = NO_RATE) -> list[str]:
        return [verdict.code for verdict in await ValkeyGate(valkey, "t", rate).check(list(entries))]

    def entry(self, buyer: str = "usr_a", quantity: int = 1, key: bytes = b"k", known: int = 5) -> Entry:
        return Entry("sal_1", buyer, quantity, key, known)

    async def show(self, valkey: Redis, **changed: int) -> None:
        fields: dict[str, int | str] = {**self.OPEN, **changed, "busr_full": 3, "kgranted": ""}
        await valkey.hset(sale_key("t", "sal_1"), items=[each for field in fields.items() for each in field])

    async def test_an_unknown_sale_passes(self, valkey: Redis) -> None:
        assert await self.ask(valkey, self.entry(), self.entry("usr_b")) == ["", ""]

    async def test_verdicts(self, valkey: Redis) -> None:
        await self.show(valkey)
        asked = (
            self.entry(quantity=2),
            self.entry(quantity=3),
            self.entry("usr_full"),
            self.entry(quantity=4),
        )
        assert await self.ask(valkey, *asked) == ["", "sold_out", "limit_reached", "limit_reached"]
        await self.show(valkey, open=0)
        assert await self.ask(valkey, self.entry()) == ["not_open"]

    async def test_a_granted_key_passes_whatever_the_state(self, valkey: Redis) -> None:
        await self.show(valkey, open=0, available=0)
        assert await self.ask(valkey, self.entry("usr_full", key=b"granted")) == [""]

    async def test_a_gate_older_than_what_was_heard_refuses_nobody(self, valkey: Redis) -> None:
        await self.show(valkey, available=0)
        assert await self.ask(valkey, self.entry(known=6), self.entry(known=5)) == ["", "sold_out"]

    async def test_a_gate_of_a_sale_that_was_not_heard_of_refuses_nobody_and_it_is_asked_about(
        self, valkey: Redis
    ) -> None:
        """As after a start, or when changes may have been missed: nothing tells whether the gate is new."""
        await self.show(valkey, available=0)
        asked: list[str] = []
        gate = ValkeyGate(valkey, "t", NO_RATE)
        gate.unheard = asked.append
        verdicts = await gate.check([self.entry(known=0), self.entry(known=5)])

        assert [verdict.code for verdict in verdicts] == ["", "sold_out"]
        assert asked == ["sal_1"]

    async def test_a_rate_is_kept_over_calls(self, valkey: Redis) -> None:
        rate = Rate(interval_ms=60_000, burst=2)
        tried = [await self.ask(valkey, self.entry(), rate=rate) for _ in range(3)]
        assert tried == [[""], [""], ["rate_limited"]]
        assert await self.ask(valkey, self.entry("usr_b"), rate=rate) == [""]

    async def test_a_dead_gate_lets_everything_pass(self) -> None:
        gone = Redis.from_url("unix:///nowhere/valkey.sock")
        assert await self.ask(gone, self.entry()) == [""]
        await gone.aclose()
