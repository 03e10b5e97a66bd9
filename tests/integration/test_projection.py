"""Read models on the real log and the real Postgres: kept up, never half, and the same when made again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import httpx
import pytest
from litestar import Litestar
from litestar.datastructures import State

from cells.engine.project import Health, Moved, Projector, Step
from cells.log import marks
from cells.log.jetstream import JetStreamLog
from cells.log.port import Appended, Mark
from server.flash_sale import read as sales
from server.orders import read as orders
from server.orders.http import handlers
from server.projections import projections
from server.store import engine, migrate
from server.store.checkpoints import PostgresStore
from server.store.rebuild import rebuild
from server.store.waiting import Projected
from server.web.auth import Actor
from server.web.problem import on_error
from tests.integration.store_engines import Engines, engines
from tests.unit.server.store.history import History

TABLES = ("sales", "holds", "orders", "payments")


class Cell:
    """A log and a database with a projector between them."""

    def __init__(self, run: Engines, log: JetStreamLog) -> None:
        self.engines = run
        self.log = log
        self.history = History(seed=7)
        self.projected = Projected()
        self.health: list[tuple[Health, str]] = []
        self.noted: list[Mark] = []

    async def append(self, commits: int) -> int:
        """Let the shop go on for some commits and return the last one's position."""
        position = 0
        for subject, expected, body in self.history.go_on(commits):
            outcome = await self.log.append(subject, body, expected)
            assert isinstance(outcome, Appended)
            position = outcome.position
            self.history.stored(subject, position)
        return position

    @contextlib.asynccontextmanager
    async def projecting(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.projector().run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def projector(self) -> Projector[engine.Connection]:
        async def advanced(position: int) -> None:
            self.projected._reach(position)

        async def note(mark: Mark) -> None:
            self.noted.append(mark)

        return Projector(
            self.log,
            PostgresStore(),
            projections(),
            report=lambda health, detail: self.health.append((health, detail)),
            advanced=advanced,
            note=note,
        )

    async def dump(self) -> dict[str, list[tuple[object, ...]]]:
        async with engine.connection() as connection:
            return {
                table: [tuple(r) for r in await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")]  # noqa: S608 - our tables
                for table in TABLES
            }


@pytest.fixture
async def cell(tmp_path: Path) -> AsyncIterator[Cell]:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o711)
    async with engines(tmp_path / "data") as run:
        await migrate.migrate(run.database_url)
        await engine.start(run.database_url, connections=4)
        log = await JetStreamLog.open(run.nats_url, run.layout.marks, "test")
        try:
            yield Cell(run, log)
        finally:
            await log.close()
            await engine.stop()


async def eventually(true: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)


async def test_tables_follow_the_log_and_a_rebuild_gives_the_same(cell: Cell) -> None:
    async with cell.projecting():
        end = await cell.append(300)
        assert await cell.projected.reached(end, 10)
        followed = await cell.dump()
        assert all(followed[table] for table in TABLES)
        assert await rebuild(cell.engines.database_url, cell.log, projections(), lambda *_: None) == end
        assert await cell.dump() == followed
        # The projector finds its checkpoints where they were and goes on.
        end = await cell.append(50)
        assert await cell.projected.reached(end, 10)
    assert cell.health == [("serving", "")]


async def test_a_rebuild_keeps_names_and_definitions_for_later_migrations(cell: Cell) -> None:
    query = """SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 2"""
    async with cell.projecting(), engine.connection() as connection:
        assert await cell.projected.reached(await cell.append(30), 10)
        before = await connection.fetch(query)
        await rebuild(cell.engines.database_url, cell.log, projections(), lambda *_: None)
        assert await connection.fetch(query) == before
        assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'rebuild'") == 0


async def test_rebuild_of_one_projection_while_the_log_grows(cell: Cell) -> None:
    async with cell.projecting():
        assert await cell.projected.reached(await cell.append(200), 10)
        growing = asyncio.create_task(cell.append(150))
        await rebuild(cell.engines.database_url, cell.log, projections()[1:], lambda *_: None)
        assert await cell.projected.reached(await growing, 10)
    followed = await cell.dump()
    async with engine.connection() as connection:
        for table in (*TABLES, "checkpoint"):
            await connection.execute(f"TRUNCATE {table}")
    cell.projected = Projected()
    async with cell.projecting():
        info = await cell.log.info()
        assert info is not None
        assert await cell.projected.reached(info.last, 10)
    assert await cell.dump() == followed


async def test_a_connection_that_dies_in_mid_batch_leaves_no_half_of_it(cell: Cell) -> None:
    end = await cell.append(120)
    store, found = PostgresStore(), projections()
    before = await store.places([p.name for p in found])

    class Dying:
        name, tables, registries = found[1].name, found[1].tables, found[1].registries

        async def apply(self, connection: engine.Connection, batch: object) -> None:  # noqa: ARG002 - the protocol
            own = await connection.fetchval("SELECT pg_backend_pid()")
            killer = await asyncpg.connect(cell.engines.database_url)
            await killer.execute("SELECT pg_terminate_backend($1)", own)
            await killer.close()
            await connection.execute("SELECT 1")

    failed = Cell(cell.engines, cell.log)
    dying = Projector(
        cell.log,
        store,
        (found[0], Dying()),
        report=lambda health, detail: failed.health.append((health, detail)),
        advanced=lambda _: asyncio.sleep(0),
        note=lambda _: asyncio.sleep(0),
    )
    task = asyncio.create_task(dying.run())
    await eventually(lambda: _said(failed, "waiting"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await cell.dump() == {table: [] for table in TABLES}
    assert await store.places([p.name for p in found]) == before
    async with cell.projecting():
        assert await cell.projected.reached(end, 10)
    assert (await cell.dump())["orders"]


async def _said(cell: Cell, health: Health) -> bool:
    return any(said == health for said, _ in cell.health)


async def test_only_one_of_two_projectors_advances_a_checkpoint(cell: Cell) -> None:
    async with cell.projecting(), contextlib.AsyncExitStack() as stack:
        other = Cell(cell.engines, cell.log)
        await stack.enter_async_context(other.projecting())
        end = await cell.append(200)
        assert await cell.projected.reached(end, 10)
        assert await other.projected.reached(end, 10)
    twice = await cell.dump()
    await rebuild(cell.engines.database_url, cell.log, projections(), lambda *_: None)
    assert await cell.dump() == twice


@pytest.mark.usefixtures("cell")
async def test_a_checkpoint_that_was_moved_is_not_overwritten() -> None:
    found = projections()[0]
    store = PostgresStore()
    await store.places([found.name])
    step = Step(found, [], Mark("", 5, "other"), Mark("e", 6, "h"))
    with pytest.raises(Moved):
        await store.write([step])


async def test_postgres_that_dies_is_waited_for(cell: Cell) -> None:
    async with cell.projecting():
        assert await cell.projected.reached(await cell.append(50), 10)
        await cell.engines.postgres.kill()
        end = await cell.append(50)
        await cell.engines.postgres.start()
        assert await cell.projected.reached(end, 20)
    kept = await cell.dump()
    await rebuild(cell.engines.database_url, cell.log, projections(), lambda *_: None)
    assert await cell.dump() == kept


async def test_a_log_that_is_shorter_than_the_checkpoint_fences(cell: Cell) -> None:
    store = PostgresStore()
    names = [p.name for p in projections()]
    end = await cell.append(20)
    places = await store.places(names)
    epoch = cell.log.epoch
    beyond = Mark(epoch, end + 1000, "00" * 32)
    await store.write([Step(p, [], places[p.name], beyond) for p in projections()])
    async with cell.projecting():
        await eventually(lambda: _said(cell, "fenced"))
    assert cell.noted[0] == beyond
    assert (await cell.dump())["sales"] == []
    assert marks.highest(cell.engines.layout.marks) != beyond


async def test_orders_are_listed_to_their_sides_only(cell: Cell) -> None:
    async with cell.projecting():
        assert await cell.projected.reached(await cell.append(300), 10)
    buyer, order_id = cell.history.a_buyer_with_an_order()
    order = await orders.find_order(order_id, buyer)
    assert order is not None
    assert order.total == order.price.times(order.quantity)
    assert await orders.find_order(order_id, order.merchant_id) == order
    assert await orders.find_order(order_id, "usr_other") is None
    listed, cursor = [], None
    while True:
        page = await orders.list_orders("merchant", order.merchant_id, 7, cursor)
        listed += page.items
        cursor = page.next
        if cursor is None:
            break
    assert len({o.id for o in listed}) == len(listed)
    assert [o.position for o in listed] == sorted((o.position for o in listed), reverse=True)
    assert order in listed
    mine = (await orders.list_orders("buyer", buyer, 100, None)).items
    assert order in mine
    assert {o.buyer_id for o in mine} == {buyer}
    assert await sales.sale_of_hold(order.hold_id) == order.sale_id
    assert cell.history.counts() == {
        view.id: (view.state, view.held, view.sold) for view in (await sales.list_sales(100))[0]
    } | {sale_id: c for sale_id, c in cell.history.counts().items() if c[0] == "draft"}


class Door:
    """Lets everyone in under the name and role that they give."""

    async def actor(self, header: str | None) -> Actor:
        role, _, account = (header or "").partition(" ")
        return Actor(account, role, "")  # type: ignore[arg-type]  # the test names roles


@pytest.fixture
async def client(cell: Cell) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        list(handlers(cell.projected, cell.log)),
        exception_handlers={Exception: on_error},
        state=State({"authenticator": Door()}),
        logging_config=None,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://titan") as opened:  # type: ignore[arg-type]  # the same protocol, typed twice
        yield opened


async def test_a_client_reads_its_own_order_before_it_was_projected(
    cell: Cell, client: httpx.AsyncClient
) -> None:
    await cell.append(200)
    buyer, order_id = cell.history.a_buyer_with_an_order()
    reading = asyncio.create_task(
        client.get(f"/api/v1/orders/{order_id}", headers={"authorization": f"buyer {buyer}"})
    )
    async with cell.projecting():
        found = await reading
    assert found.status_code == 200
    assert found.json()["buyer_id"] == buyer
    assert found.json()["status"] == "confirmed"


async def test_orders_of_others_do_not_exist(cell: Cell, client: httpx.AsyncClient) -> None:
    async with cell.projecting():
        assert await cell.projected.reached(await cell.append(200), 10)
    _, order_id = cell.history.a_buyer_with_an_order()
    for who in ("buyer usr_other", "merchant mer_other", "operator opr_x"):
        answer = await client.get(f"/api/v1/orders/{order_id}", headers={"authorization": who})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    listed = await client.get("/api/v1/orders", headers={"authorization": "operator opr_x"})
    assert listed.status_code == 403
    for strange in ("x", "ord_", "ord_%00", "sal_" + order_id[4:], "ord_" + "A" * 40):
        answer = await client.get(f"/api/v1/orders/{strange}", headers={"authorization": "buyer b"})
        assert answer.status_code == 404


async def test_a_position_that_is_not_reached_in_time_is_retryable(
    cell: Cell, client: httpx.AsyncClient
) -> None:
    end = await cell.append(5)
    answer = await client.get(f"/api/v1/orders?after={end}", headers={"authorization": "buyer b"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["retryable"]
    assert answer.headers["retry-after"] == "1"
