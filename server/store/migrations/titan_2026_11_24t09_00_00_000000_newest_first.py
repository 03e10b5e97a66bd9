"""Indexes for the operators' lists of all orders and holds, the newest first."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from server.store.engine import DB

ID = "2026-11-24T09:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "newest first"

STATEMENTS = (
    "CREATE INDEX orders_by_position ON orders (position, id)",
    "CREATE INDEX orders_of_sale ON orders (sale_id, position)",
    "CREATE INDEX holds_by_position ON holds (position, id)",
)


async def forwards() -> MigrationManager:
    """Return what Piccolo runs."""
    manager = MigrationManager(migration_id=ID, app_name="titan", description=DESCRIPTION)

    async def create() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create)
    return manager
