"""Brings the database to the newest schema. Many processes may call it at once; one of them works."""

import asyncio
import contextlib
import io
import os
import sys

import asyncpg
import structlog
from piccolo.apps.migrations.commands.forwards import ForwardsMigrationManager
from piccolo.apps.migrations.tables import Migration

from cells.config import CellConfig
from cells.engine.project import StoreUnavailable
from cells.trouble import Trouble
from server.store import engine
from server.store.piccolo_app import APP_CONFIG

_log = structlog.get_logger(__name__)

LOCK = 0x7469_7461_6E01
MIGRATION_SECONDS = 60.0


async def main(config: CellConfig) -> int:
    """Migrate the cell's database, print what was applied and return how much it was. Raises `Trouble`."""
    try:
        applied = await asyncio.wait_for(migrate(config.database_url), MIGRATION_SECONDS)
    except (StoreUnavailable, asyncpg.PostgresError, TimeoutError) as error:
        raise Trouble(
            "The database cannot be migrated.", str(error) or type(error).__name__, "titan logs postgres"
        ) from error
    sys.stdout.write("".join(f"migration {name}\n" for name in applied) or "database schema is up to date\n")
    return len(applied)


async def migrate(url: str) -> list[str]:
    """Apply what is missing, under a lock, and return its names. Raises `StoreUnavailable`, `PostgresError`."""
    os.environ.setdefault("PICCOLO_CONF", "server.store.piccolo_conf")
    engine.configure(url)
    guard = await engine.connect(url)
    try:
        await guard.execute("SELECT pg_advisory_lock($1)", LOCK)
        return await _forwards()
    finally:
        with contextlib.suppress(*engine.DOWN):
            await guard.close(timeout=1.0)


async def _forwards() -> list[str]:
    manager = ForwardsMigrationManager(app_name=APP_CONFIG.app_name)
    await manager.create_migration_table()
    before = set(await Migration.get_migrations_which_ran(app_name=APP_CONFIG.app_name))
    # Piccolo imports the migrations by their bare names and leaves their folder on the path, and it talks a lot.
    path = list(sys.path)
    talk = io.StringIO()
    try:
        with contextlib.redirect_stdout(talk):
            result = await manager.run()
    finally:
        sys.path[:] = path
        _log.debug("piccolo", said=talk.getvalue())
    if not result.success:
        raise StoreUnavailable(result.message or "Piccolo could not migrate")
    ran = await Migration.get_migrations_which_ran(app_name=APP_CONFIG.app_name)
    return [name for name in ran if name not in before]
