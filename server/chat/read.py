"""Lists of conversations from the tables, which may lag the log."""

from typing import Any, Literal

from cells.kernel.clock import rfc3339
from server.chat.bodies import ConversationBody, ConversationPage, LastMessage
from server.store import engine
from server.store.keyset import Keyset, position_of
from server.web import cursors

Side = Literal["buyer", "merchant"]

_PAGE = {
    "buyer": """
        SELECT *, buyer_unread AS unread, buyer_read AS read FROM conversations
        WHERE buyer_id = $1 AND ($2::bigint IS NULL OR (active, id) < ($2, $3))
        ORDER BY active DESC, id DESC LIMIT $4""",
    "merchant": """
        SELECT *, merchant_unread AS unread, merchant_read AS read FROM conversations
        WHERE merchant_id = $1 AND ($2::bigint IS NULL OR (active, id) < ($2, $3))
        ORDER BY active DESC, id DESC LIMIT $4""",
}
_IS_MERCHANT = """
    SELECT EXISTS (SELECT FROM products WHERE merchant_id = $1) OR EXISTS (SELECT FROM sales WHERE merchant_id = $1)"""


async def is_merchant(merchant_id: str) -> bool:
    """Tell whether a merchant offers or has offered anything. Raises `Rejected` (unavailable)."""
    async with engine.query() as connection:
        return bool(await connection.fetchval(_IS_MERCHANT, merchant_id))


async def list_conversations(side: Side, actor_id: str, limit: int, cursor: str | None) -> ConversationPage:
    """Return a page of the conversations that an account is one side of, newest activity first.

    Raises `Rejected`: bad_request on a foreign cursor, unavailable when Postgres is away.
    """
    name = f"conversations:{side}"
    after = cursors.decode(name, cursor, Keyset) if cursor else None
    limit = max(1, min(limit, cursors.MAX_LIMIT))
    async with engine.query() as connection:
        rows = await connection.fetch(_PAGE[side], actor_id, *position_of(after), limit + 1)
    shown = rows[:limit]
    more = len(rows) > limit
    following = cursors.encode(name, Keyset(shown[-1]["active"], shown[-1]["id"])) if more else None
    return ConversationPage([_body(row) for row in shown], following)


def _body(row: Any) -> ConversationBody:
    last = None
    if row["last_id"]:
        last = LastMessage(row["last_id"], row["last_author"], row["last_text"], rfc3339(row["last_at"]))
    return ConversationBody(
        row["id"],
        row["buyer_id"],
        row["buyer_name"],
        row["merchant_id"],
        row["subject"] or None,
        row["title"],
        rfc3339(row["created_at"]),
        last,
        row["unread"],
        row["read"],
        row["active"],
    )
