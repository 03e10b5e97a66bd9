"""Lines of the log as rows of a table."""

from collections.abc import Iterable
from typing import Final

from textual.content import Content

from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.drawn import pair, row
from admin_tui.widgets.figures import BAD, DIM, GOOD, INK, WARN
from admin_tui.wire import Line

COLUMNS: Final = (
    Column("time", "time", 12, rank=1),
    Column("position", "position", 10, "right", rank=3),
    Column("type", "event", 16),
    Column("key", "of", 12, rank=4),
    Column("text", "what"),
    Column("by", "by", 12, rank=5),
)
STYLES: Final = {"room": DIM, "cnv": DIM, "pay": GOOD, "writer": WARN}


def key_of(line: Line) -> str:
    """Return what tells a line from all others of its log."""
    return f"{line.position}.{line.index}"


def rows(lines: Iterable[Line]) -> dict[str, Line]:
    """Return a row a line, the newest first."""
    newest_first = sorted(lines, key=lambda line: (line.position, line.index), reverse=True)
    return {key_of(line): line for line in newest_first}


def draw(line: Line) -> Row:
    """Return the cells of a line."""
    return (
        Content.styled(figures.stamp(line.at), DIM),
        Content.styled(f"{line.position:,}", DIM),
        Content.styled(inert(line.type, 24), STYLES.get(line.kind, INK)),
        Content.styled(short(line.key), DIM),
        Content(inert(line.text, 300)),
        Content.styled(short(line.by), DIM),
    )


def short(id_: str) -> str:
    """Return an id's beginning and end: what tells it from others at a glance."""
    shown = inert(id_, 64)
    return shown if len(shown) <= 12 else f"{shown[:4]}…{shown[-6:]}"


def head(*, why: str, until: int | None, following: bool, subject: str, type_: str, shown: int) -> Content:
    """Return the line above the log: whether it moves, and what it is narrowed to."""
    if why:
        state = Content.styled(inert(why, 120), BAD)
    elif until is not None:
        state = Content.styled(f"up to {until:,}", WARN)
    elif following:
        state = Content.styled("● following", GOOD)
    else:
        state = Content.assemble(("‖ stands", WARN), (" (n: newest)", DIM))
    parts = [
        state,
        pair("subject", Content.styled(inert(subject, 60) or "all", INK)),
        pair("type", Content.styled(inert(type_, 30) or "all", INK)),
        Content.styled(f"{shown:,} lines", DIM),
    ]
    return Content.assemble(" ", row(parts))
