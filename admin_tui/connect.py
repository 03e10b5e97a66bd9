"""Feeds for the cells that are to be watched, each under a name of its own."""

import asyncio
from collections.abc import Sequence

from admin_tui.feed import Refused, Unreachable
from admin_tui.http_feed import HttpFeed
from admin_tui.targets import Target
from admin_tui.wire import WhoAmI


async def feeds(found: Sequence[Target]) -> list[HttpFeed]:
    """Make the feeds. A cell that does not answer yet goes by its address."""
    made = [HttpFeed(each.url, each.key, cell=each.name, realtime=each.realtime) for each in found]
    await asyncio.gather(*(_name(feed) for feed, each in zip(made, found, strict=True) if not each.name))
    taken: set[str] = set()
    for feed in made:
        if feed.cell in taken:
            feed.cell = f"{feed.cell}@{feed.url.partition('://')[2]}"
        taken.add(feed.cell)
    return made


async def _name(feed: HttpFeed) -> None:
    try:
        who = await feed.get("/ops/whoami", {}, WhoAmI)
    except (Refused, Unreachable):
        return
    feed.cell = who.cell or feed.cell
