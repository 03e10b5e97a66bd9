"""Indexes of two columns for the lists of orders, which Piccolo's tables cannot declare."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from server.store.engine import DB

ID = "2026-11-23T14:42:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "lists of orders"


async def forwards() -> MigrationManager:
    """Return what Piccolo runs."""
    manager = MigrationManager(migration_id=ID, app_name="titan", description=DESCRIPTION)

    async def index() -> None:
        for side in ("buyer", "merchant"):
            await DB.run_ddl(f"CREATE INDEX orders_of_{side} ON orders ({side}_id, position DESC)")

    manager.add_raw(index)
    return manager
