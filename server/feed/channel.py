"""What hubs ask about `me` channels: each account's own, and nobody else's."""

from collections.abc import Sequence
from typing import Any

from cells.kernel.errors import Rejected
from realtime import events
from realtime.events import Admission, Event, Join, Page, PageRequest, TopsRequest
from server.chat.channels import Epoch
from server.chat.responder import Responder
from server.store import engine

_TOPS = """
    SELECT coalesce((SELECT s FROM feed f WHERE f.account = a.account ORDER BY s DESC LIMIT 1), 0) AS s
    FROM unnest($1::text[]) WITH ORDINALITY AS a (account, n) ORDER BY a.n"""
_AFTER = "SELECT s, p, t, d FROM feed WHERE account = $1 AND s > $2 ORDER BY s LIMIT $3"
_BEFORE = "SELECT s, p, t, d FROM feed WHERE account = $1 AND s < $2 ORDER BY s DESC LIMIT $3"


class FeedDesk:
    """Answers from the table, which is written before anybody is told. Raises `Rejected` when it cannot now."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch

    async def listen(self, responder: Responder, cell: str) -> None:
        """Begin to answer."""
        await responder.listen(events.join_subject(cell, "me"), Join, self.join)
        await responder.listen(events.page_subject(cell, "me"), PageRequest, self.page)
        await responder.listen(events.tops_subject(cell, "me"), TopsRequest, self.tops)

    async def join(self, asked: Join) -> Admission:
        """Let an account into its own channel."""
        if asked.user is None:
            return Admission(code="unauthenticated")
        if asked.channel != f"me:{asked.user}":
            return Admission(code="not_found")
        top = (await _tops([asked.user]))[0]
        return Admission(epoch=await self._epoch.get(), top=top)

    async def page(self, asked: PageRequest) -> Page:
        """Return a page of an account's news."""
        account = _account(asked.channel)
        limit = max(1, min(asked.limit, events.MAX_PAGE))
        async with engine.query() as connection:
            if asked.after is not None:
                rows = await connection.fetch(_AFTER, account, asked.after, limit + 1)
                chosen = rows[:limit]
            else:
                end = asked.before if asked.before is not None else 1 << 53
                rows = await connection.fetch(_BEFORE, account, end, limit + 1)
                chosen = rows[:limit][::-1]
        return Page(await self._epoch.get(), tuple(_event(row) for row in chosen), len(rows) > limit)

    async def tops(self, asked: TopsRequest) -> list[int]:
        """Return where accounts' channels stand."""
        return await _tops([_account(channel) for channel in asked.channels[: events.MAX_TOPS]])


async def _tops(accounts: Sequence[str]) -> list[int]:
    async with engine.query() as connection:
        return [row["s"] for row in await connection.fetch(_TOPS, list(accounts))]


def _account(channel: str) -> str:
    kind, _, account = channel.partition(":")
    if kind != "me":
        raise Rejected("not_found", "There is no such channel.")
    return account


def _event(row: Any) -> Event:
    return Event(row["s"], row["p"], row["t"], row["d"].encode())
