"""The state of all cells, once, for scripts."""

import asyncio
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from admin_tui.connect import feeds
from admin_tui.feed import Feed, Refused, Unreachable
from admin_tui.model import Model
from admin_tui.picture import Picture
from admin_tui.status_lines import status_lines
from admin_tui.targets import Target
from admin_tui.wire import Frame
from cells.kernel.clock import Clock, SystemClock

WIDTH = 160


async def once(found: Sequence[Target], *, as_json: bool) -> bool:
    """Print how the cells are; answers whether all could be heard."""
    watched = await feeds(found)
    try:
        picture = await look(watched, SystemClock())
    finally:
        await asyncio.gather(*(feed.close() for feed in watched))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(as_document(picture)), indent=2).decode())
    else:
        click.echo("\n".join(status_lines(picture, WIDTH)))
    return all(cell.connected for cell in picture.cells)


async def look(watched: Sequence[Feed], clock: Clock) -> Picture:
    """Ask each cell for a frame."""
    model = Model([(feed.cell, feed.url) for feed in watched])

    async def ask(feed: Feed) -> None:
        try:
            frame = await feed.get("/ops/frame", {}, Frame)
        except (Refused, Unreachable) as error:
            model.lost(feed.cell, str(error), clock.now())
        else:
            model.apply(feed.cell, frame, clock.now())

    await asyncio.gather(*(ask(feed) for feed in watched))
    return model.picture(clock.now())


def as_document(picture: Picture) -> dict[str, Any]:
    """Return a picture as what `--json` prints: sums, and for each cell its state and its frame."""
    return {
        "at": picture.at,
        "totals": picture.totals,
        "cells": [
            {"id": cell.id, "url": cell.url, "state": cell.state, "why": cell.why, "frame": cell.frame}
            for cell in picture.cells
        ],
    }
