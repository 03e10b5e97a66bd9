"""What happens to each account, in order: the history of its `me` channel, and the news to be told live."""

from collections.abc import Mapping, Sequence

import msgspec

from cells.engine.project import Recorded
from cells.kernel.codec import Registry
from cells.kernel.money import Money
from cells.log.chain import Broken
from realtime.events import Event
from server.chat import model as chat
from server.chat import projection as channels
from server.feed.fold import Known, KnownHold, KnownSale, Wanted, entries, wanted
from server.feed.model import ENTRIES_PER_COMMIT, TYPES, Entry
from server.flash_sale import model as flash_sale
from server.payments import model as payments
from server.store.engine import Connection

COLUMNS = ("account", "s", "p", "t", "d")

_HOLDS = "SELECT id, buyer_id, sale_id, quantity FROM holds WHERE id = ANY($1::text[])"
_SALES = """
    SELECT id, merchant_id, title, price_amount, price_currency FROM sales WHERE id = ANY($1::text[])"""
# A sale that was killed stays as it is, so its holds say to any later reader which of them the kill released;
# those that were given back in the very same millisecond have been told before.
_KILLED = """
    SELECT h.id FROM holds h
    WHERE h.sale_id = $1 AND h.status = 'released' AND h.settled_at = $2 AND NOT EXISTS (
        SELECT FROM feed f WHERE f.account = h.buyer_id AND f.t = 'hold' AND f.s < $3
          AND f.d::json ->> 'hold_id' = h.id AND f.d::json ->> 'status' = 'released')
    ORDER BY h.id"""
_ENDS = """
    SELECT a.account, e.s FROM unnest($1::text[]) AS a (account)
    CROSS JOIN LATERAL (SELECT s FROM feed f WHERE f.account = a.account ORDER BY f.s DESC LIMIT 1) e"""

_encode = msgspec.json.Encoder().encode


class FeedProjection:
    """Writes `feed` and the tables of chat, whose unread counts are news.

    Takes what sales and holds are from their tables, of which it reads only what never changes, so it has to
    stand behind the projection that writes those. `told` is what the last batch led to, by account.
    """

    name = "feed"
    tables = ("feed", *channels.TABLES)
    registries: Mapping[str, Registry] = {
        flash_sale.KIND: flash_sale.EVENTS,
        payments.KIND: payments.EVENTS,
        chat.ROOM: chat.EVENTS,
        chat.CONVERSATION: chat.EVENTS,
    }

    def __init__(self) -> None:
        self.told: dict[str, list[Event]] = {}

    async def apply(self, connection: Connection, batch: Sequence[Recorded]) -> None:
        """Write what a batch led to. Raises `Broken` on events of a sale or hold that never began."""
        talk = [c for c in batch if c.kind in (chat.ROOM, chat.CONVERSATION)]
        trade = [c for c in batch if c.kind in (flash_sale.KIND, payments.KIND)]
        found = await channels.apply(connection, talk)
        if trade:
            found += await _trade(connection, trade)
            found.sort(key=lambda entry: entry.position)
        self.told = await _store(connection, found)


async def _trade(connection: Connection, batch: Sequence[Recorded]) -> list[Entry]:
    need = wanted(batch)
    killed = await _killed(connection, batch, need)
    known = Known(
        {
            row["id"]: KnownHold(row["buyer_id"], row["sale_id"], row["quantity"])
            for row in (await connection.fetch(_HOLDS, list(need.holds)) if need.holds else ())
        },
        {
            row["id"]: KnownSale(
                row["merchant_id"], row["title"], Money(row["price_amount"], row["price_currency"])
            )
            for row in (await connection.fetch(_SALES, list(need.sales)) if need.sales else ())
        },
        killed,
    )
    try:
        return entries(batch, known)
    except KeyError as error:
        raise Broken(f"an event of {error.args[0]}, which never began") from error


async def _killed(
    connection: Connection, batch: Sequence[Recorded], need: Wanted
) -> dict[int, Sequence[str]]:
    found: dict[int, Sequence[str]] = {}
    for position, sale_id, at in need.kills:
        rows = await connection.fetch(_KILLED, sale_id, at, position * ENTRIES_PER_COMMIT)
        given_back = {
            event.hold_id
            for commit in batch
            if commit.key == sale_id and commit.position <= position
            for event in commit.events
            if isinstance(event, flash_sale.HoldReleased)
        }
        found[position] = [row["id"] for row in rows if row["id"] not in given_back]
        need.holds.update(found[position])
    return found


async def _store(connection: Connection, found: Sequence[Entry]) -> dict[str, list[Event]]:
    told: dict[str, list[Event]] = {}
    if not found:
        return told
    accounts = list({entry.account for entry in found})
    ends = {row["account"]: row["s"] for row in await connection.fetch(_ENDS, accounts)}
    rows = []
    for entry in found:
        account = entry.account
        previous = ends.get(account, 0)
        s = max(entry.position * ENTRIES_PER_COMMIT, previous + 1)
        d = _encode(entry.news)
        told.setdefault(account, []).append(Event(s, previous, TYPES[type(entry.news)], d))
        rows.append((account, s, previous, TYPES[type(entry.news)], d.decode()))
        ends[account] = s
    await connection.copy_records_to_table("feed", records=rows, columns=COLUMNS)
    return told
