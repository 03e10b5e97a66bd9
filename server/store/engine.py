"""The one Postgres engine of a process. Tables bind to `DB` when they are imported; the address comes later.

Everything in Postgres is rebuilt from the log, so commits are not waited for on the disk.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Protocol

import asyncpg
import structlog
from piccolo.engine.postgres import PostgresEngine

from cells.engine.project import StoreUnavailable
from cells.kernel.errors import Rejected

_log = structlog.get_logger(__name__)

POOL_CONNECTIONS = 8
QUERY_SECONDS = 5.0
CONNECT_SECONDS = 5.0
BORROW_SECONDS = 1.0
RETRY_SECONDS = 0.5


class _LateEngine(PostgresEngine):
    """Piccolo's engine connects when it is made, to find out a version; this one is made before its address is known."""

    async def check_version(self) -> None:
        """Leave it to the first query."""

    async def prep_database(self) -> None:
        """No extensions are used."""


DB = _LateEngine(config={})

DOWN = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    OSError,
    TimeoutError,
)
"""What it looks like when Postgres is not there, or not there any more."""


class Connection(Protocol):
    """What projections and queries use of an asyncpg connection."""

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """Run a statement."""

    async def executemany(
        self, command: str, args: Iterable[Sequence[object]], *, timeout: float | None = None
    ) -> None:
        """Run a statement for each tuple of arguments."""

    async def fetch(self, query: str, *args: object, timeout: float | None = None) -> list[Any]:
        """Return all rows."""

    async def fetchrow(self, query: str, *args: object, timeout: float | None = None) -> Any:
        """Return the first row or None."""

    async def fetchval(self, query: str, *args: object, timeout: float | None = None) -> Any:
        """Return the first value of the first row or None."""

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str]
    ) -> str:
        """Insert rows by COPY."""

    def transaction(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Begin, and commit or roll back on leaving."""


async def start(url: str, *, connections: int = POOL_CONNECTIONS, timeout: float = CONNECT_SECONDS) -> None:
    """Point the engine at a database and start its pool. Raises `StoreUnavailable`."""
    if DB.pool is not None:
        return
    configure(url)
    try:
        await DB.start_connection_pool(
            min_size=1,
            max_size=connections,
            timeout=timeout,
            command_timeout=QUERY_SECONDS,
            server_settings={"synchronous_commit": "off", "application_name": "titan"},
        )
    except DOWN as error:
        raise StoreUnavailable(f"Postgres does not answer ({type(error).__name__}: {error})") from error


def configure(url: str) -> None:
    """Point the engine at a database without connecting."""
    DB.config = {"dsn": url}


async def stop() -> None:
    """Close the pool; a connection that does not close within a second is dropped."""
    pool, DB.pool = DB.pool, None
    if pool is None:
        return
    try:
        await asyncio.wait_for(pool.close(), 1.0)
    except (TimeoutError, *DOWN):
        pool.terminate()


@contextlib.asynccontextmanager
async def connection(timeout: float = CONNECT_SECONDS) -> AsyncIterator[Connection]:
    """Borrow a connection of the pool. Failures to reach Postgres, here or inside, raise `StoreUnavailable`."""
    if DB.pool is None:
        raise StoreUnavailable("the connection pool is not started")
    try:
        async with DB.pool.acquire(timeout=timeout) as borrowed:
            yield borrowed
    except DOWN as error:
        raise StoreUnavailable(f"Postgres does not answer ({type(error).__name__}: {error})") from error


@contextlib.asynccontextmanager
async def query() -> AsyncIterator[Connection]:
    """Borrow a connection for a request's reads. Raises `Rejected` (unavailable) when Postgres is away."""
    try:
        async with connection(BORROW_SECONDS) as borrowed:
            yield borrowed
    except StoreUnavailable as error:
        _log.warning("read refused", reason=str(error))
        raise Rejected("unavailable", "The lists cannot be read now.", retry_after_ms=1000) from error


async def keep(
    url: str, *, connections: int = POOL_CONNECTIONS, started: asyncio.Event | None = None
) -> None:
    """Start the pool as soon as Postgres answers, set `started`, and close the pool when cancelled."""
    try:
        while DB.pool is None:
            try:
                await start(url, connections=connections)
            except StoreUnavailable as error:
                _log.warning("waiting for postgres", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        if started is not None:
            started.set()
        await asyncio.Event().wait()
    finally:
        await stop()


async def connect(url: str, timeout: float = CONNECT_SECONDS) -> Any:
    """Open a connection outside the pool, for tools; the caller closes it. Raises `StoreUnavailable`."""
    try:
        return await asyncpg.connect(
            url,
            timeout=timeout,
            server_settings={"synchronous_commit": "off", "application_name": "titan-tool"},
        )
    except DOWN as error:
        raise StoreUnavailable(f"Postgres does not answer ({type(error).__name__}: {error})") from error
