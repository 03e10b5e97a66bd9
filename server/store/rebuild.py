"""Rebuilding projections beside the running ones.

The log is replayed into tables of a schema of their own; then, in one short transaction that holds the
checkpoints and so keeps the projector waiting, the rest is caught up and the tables change places. Readers see
the old ones until then. A rebuild that dies leaves nothing behind but that schema.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from cells.engine.project import Moved, Reader, Step, StoreUnavailable, registries_of, step
from cells.kernel import envelope
from cells.log import subjects
from cells.log.chain import Broken
from cells.log.port import Log, Mark, Stored
from server.store import checkpoints, engine
from server.store.engine import Connection
from server.store.projection import Projection

SCHEMA = "rebuild"
LOCK = 0x7469_7461_6E02
PROGRESS_SECONDS = 1.0
LOCK_SECONDS = 5
INDEX_SECONDS = 600.0

_KEYS = """
    SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u')"""
_INDEXES = """
    SELECT indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename = $1
      AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'))"""

Progress = Callable[[int, int], None]


class Busy(Exception):  # noqa: N818 - a state, not a fault
    """Another rebuild holds the lock."""


async def rebuild(url: str, log: Log, projections: Sequence[Projection], progress: Progress) -> int:
    """Rebuild into the same tables and return the position they then stand at.

    Raises `Busy`, `StoreUnavailable`, `LogUnavailable`, `Broken`, `UnknownEvent`; the tables are then as before.
    """
    connection = await engine.connect(url)
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            raise Busy("its lock is held by another session of the database")
        return await _Rebuild(connection, log, projections, progress).run()
    except engine.DOWN as error:
        raise StoreUnavailable(f"Postgres does not answer ({type(error).__name__}: {error})") from error
    finally:
        await _close(connection)


class _Rebuild:
    def __init__(
        self, connection: Connection, log: Log, projections: Sequence[Projection], progress: Progress
    ) -> None:
        self._connection = connection
        self._log = log
        self._projections = projections
        self._progress = progress
        self._names = [p.name for p in projections]
        self._reader = Reader(registries_of(projections), 0)
        self._reached = Mark("", 0, "")
        self._told = time.monotonic()

    async def run(self) -> int:
        await self._prepare()
        live = await checkpoints.places(self._connection, self._names)
        await self._replay(max((m.position for m in live.values()), default=0))
        for table in self._tables():
            await self._index(table)
        async with self._connection.transaction():
            live = await self._hold()
            end = max(live.values(), key=lambda m: m.position)
            await self._replay(end.position)
            if end.position and self._reached.hash != end.hash:
                raise Broken(f"the commit at {end.position} is not the one that was projected")
            await self._exchange(live, end)
        await self._connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
        self._progress(end.position, end.position)
        return end.position

    async def _prepare(self) -> None:
        await self._connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        await self._connection.execute(f"CREATE SCHEMA {SCHEMA}")
        for table in self._tables():
            await self._connection.execute(
                f"CREATE TABLE {SCHEMA}.{table} (LIKE public.{table} INCLUDING ALL EXCLUDING INDEXES)"
            )
            for row in await self._connection.fetch(_KEYS, f"public.{table}"):
                await self._connection.execute(
                    f'ALTER TABLE {SCHEMA}.{table} ADD CONSTRAINT "{row["name"]}" {row["definition"]}'
                )
        # A projection names its tables without a schema: here they are found in this one first, and what it
        # reads of others in public.
        await self._connection.execute(f"SET search_path = {SCHEMA}, public")

    async def _index(self, table: str) -> None:
        """Give the new table the old one's indexes, by the same names, for later migrations know them by name."""
        for row in await self._connection.fetch(_INDEXES, table):
            definition = row["indexdef"].replace(f" ON public.{table} ", f" ON {SCHEMA}.{table} ", 1)
            await self._connection.execute(definition, timeout=INDEX_SECONDS)

    async def _hold(self) -> dict[str, Mark]:
        rows = await self._connection.fetch(
            "SELECT name FROM checkpoint WHERE name = ANY($1::text[]) ORDER BY name FOR UPDATE", self._names
        )
        if len(rows) != len(self._names):
            raise StoreUnavailable("the projector has not begun with these projections; it will by itself")
        return await checkpoints.places(self._connection, self._names)

    async def _replay(self, end: int) -> None:
        async for batch in self._up_to(end):
            recorded = self._reader.read(batch)
            last = batch[-1]
            self._reached = Mark("", last.position, envelope.digest(last.body).hex())
            async with self._connection.transaction():
                for projection in self._projections:
                    wanted = step(projection, recorded, Mark("", 0, ""), self._reached).batch
                    if wanted:
                        await projection.apply(self._connection, wanted)
            if time.monotonic() - self._told > PROGRESS_SECONDS:
                self._told = time.monotonic()
                self._progress(last.position, end)

    async def _up_to(self, end: int) -> AsyncIterator[list[Stored]]:
        if self._reader.position >= end:
            return
        async for batch in self._log.read(subjects.EVERYTHING, self._reader.position):
            inside = [stored for stored in batch if stored.position <= end]
            if inside:
                yield inside
            if len(inside) < len(batch) or inside[-1].position == end:
                return

    async def _exchange(self, live: dict[str, Mark], end: Mark) -> None:
        await self._connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        for table in self._tables():
            await self._connection.execute(f"DROP TABLE public.{table}")
            await self._connection.execute(f"ALTER TABLE {SCHEMA}.{table} SET SCHEMA public")
        steps: list[Step[Any]] = [Step(p, [], live[p.name], end) for p in self._projections]
        try:
            await checkpoints.move(self._connection, steps)
        except Moved as error:
            raise StoreUnavailable(f"a checkpoint moved although it was held: {error}") from error

    def _tables(self) -> list[str]:
        return [table for p in self._projections for table in p.tables]


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=1.0)
    except engine.DOWN:
        connection.terminate()
