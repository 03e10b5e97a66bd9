"""Tables of chat and of the accounts' feeds. Their keys have two columns, which Piccolo's tables cannot declare."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from server.store.engine import DB

ID = "2026-11-23T15:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "chat and feed"

STATEMENTS = (
    """CREATE TABLE chat_events (
        channel text NOT NULL,
        s bigint NOT NULL,
        p bigint NOT NULL,
        t text NOT NULL,
        d text NOT NULL,
        message_id text NOT NULL,
        author text NOT NULL,
        deleted boolean NOT NULL,
        PRIMARY KEY (channel, s))""",
    "CREATE INDEX chat_events_message ON chat_events (message_id) WHERE message_id <> ''",
    """CREATE TABLE conversations (
        id text PRIMARY KEY,
        buyer_id text NOT NULL,
        buyer_name text NOT NULL,
        merchant_id text NOT NULL,
        subject text NOT NULL,
        title text NOT NULL,
        created_at bigint NOT NULL,
        active bigint NOT NULL,
        last_id text NOT NULL,
        last_author text NOT NULL,
        last_text text NOT NULL,
        last_at bigint NOT NULL,
        buyer_read bigint NOT NULL,
        merchant_read bigint NOT NULL,
        buyer_delivered bigint NOT NULL,
        merchant_delivered bigint NOT NULL,
        buyer_unread integer NOT NULL,
        merchant_unread integer NOT NULL)""",
    "CREATE INDEX conversations_of_buyer ON conversations (buyer_id, active DESC)",
    "CREATE INDEX conversations_of_merchant ON conversations (merchant_id, active DESC)",
    """CREATE TABLE feed (
        account text NOT NULL,
        s bigint NOT NULL,
        p bigint NOT NULL,
        t text NOT NULL,
        d text NOT NULL,
        PRIMARY KEY (account, s))""",
)


async def forwards() -> MigrationManager:
    """Return what Piccolo runs."""
    manager = MigrationManager(migration_id=ID, app_name="titan", description=DESCRIPTION)

    async def create() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create)
    return manager
