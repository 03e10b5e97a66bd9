"""Rooms and messages as rows of tables."""

from typing import Final

from textual.content import Content

from admin_tui.answers import MessageRow, RoomRow
from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.figures import BAD, DIM, INK, WARN

ROOM_COLUMNS: Final = (
    Column("state", "", 2),
    Column("title", "room", least=14),
    Column("rate", "/min", 5, "right"),
    Column("messages", "all", 7, "right", rank=1),
    Column("last", "last", 8, rank=2),
)
MESSAGE_COLUMNS: Final = (
    Column("at", "time", 8, rank=1),
    Column("name", "who", 14),
    Column("text", "says", least=20),
)
ROLES: Final = {"merchant": "▪", "operator": "◆", "moderator": "◆"}


def room_signs(room: RoomRow) -> Content:
    """Return what holds in a room: x locked, s slow."""
    return Content.assemble(("x" if room.locked else " ", BAD), ("s" if room.slow_ms else " ", WARN))


def draw_room(room: RoomRow) -> Row:
    """Return the cells of a room."""
    return (
        room_signs(room),
        Content(inert(room.title or room.id, 80)),
        Content.styled(f"{room.rate_60s:,.0f}", INK if room.rate_60s else DIM),
        Content(f"{room.messages:,}"),
        Content.styled(figures.clock(room.last_at or None), DIM),
    )


def room_state(room: RoomRow) -> Content:
    """Return what moderators decided about a room."""
    parts = []
    if room.locked:
        parts.append(Content.styled("locked", BAD))
    if room.slow_ms:
        parts.append(Content.styled(f"slow {figures.span(room.slow_ms)}", WARN))
    for count, word in ((room.muted, "muted"), (room.banned, "banned"), (room.deleted, "deleted")):
        if count:
            parts.append(Content(f"{count:,} {word}"))
    return Content(" · ").join(parts) if parts else Content.styled("no limits", DIM)


def draw_message(message: MessageRow) -> Row:
    """Return the cells of a message; a deleted one leaves its place."""
    who = Content.assemble((ROLES.get(message.role, ""), WARN), inert(message.name or message.user, 24))
    if message.deleted:
        text = Content.styled(f"deleted  {inert(message.text, 200)}" if message.text else "deleted", DIM)
    else:
        text = Content(inert(message.text, 1000))
    return (
        Content.styled(figures.clock(message.at), DIM),
        who.stylize("bold") if not message.deleted else Content.styled(who.plain, DIM),
        text,
    )
