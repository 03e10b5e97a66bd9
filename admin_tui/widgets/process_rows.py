"""Processes of a cell as rows of a table."""

from typing import Final

from textual.content import Content

from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.figures import BAD, DIM, INK, WARN
from admin_tui.widgets.vitals import process_state
from admin_tui.wire import ProcessRow

COLUMNS: Final = (
    Column("name", "process", 10),
    Column("state", "state", 12),
    Column("restarts", "restarts", 8, "right", rank=1),
    Column("cpu", "cpu", 5, "right", rank=2),
    Column("share", "", 8, rank=5),
    Column("rss", "memory", 8, "right", rank=3),
    Column("pid", "pid", 7, "right", rank=6),
    Column("detail", "detail", rank=4),
)
BUSY: Final = 0.9


def draw(process: ProcessRow) -> Row:
    """Return the cells of a process."""
    return (
        Content.styled(inert(process.name, 16), "bold" if process.kind != "engine" else ""),
        process_state(process),
        Content.styled(f"{process.restarts:,}", WARN if process.restarts else DIM),
        figures.share(process.cpu).content(WARN if process.cpu > BUSY else ""),
        meter(process.cpu, 8),
        figures.size(process.rss).content(""),
        Content.styled(str(process.pid) if process.pid else "-", DIM),
        Content.styled(inert(process.detail, 80), BAD if process.detail else ""),
    )


def meter(share: float, width: int) -> Content:
    """Return a bar of a share of one; what is above it is full."""
    filled = max(0, min(width, round(share * width)))
    return Content.assemble(("━" * filled, WARN if share > BUSY else INK), ("─" * (width - filled), DIM))
