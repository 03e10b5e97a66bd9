"""Movers as rows of a table: what changed much in which cell."""

from typing import Final

from textual.content import Content

from admin_tui.metrics import METRICS
from admin_tui.picture import Mover
from admin_tui.text import inert
from admin_tui.widgets import heat
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.figures import DIM, GOOD, INK, WARN
from admin_tui.widgets.spark import bars

COLUMNS: Final = (
    Column("cell", "cell", 6),
    Column("metric", "what", 6),
    Column("now", "now", 7, "right"),
    Column("minute", "minute", rank=1, least=6),
)


def draw(mover: Mover) -> Row:
    """Return the cells of a mover."""
    rising = mover.now >= mover.before
    worse = rising == METRICS[mover.metric].more_is_worse
    return (
        Content.styled(inert(mover.cell, 7), "bold"),
        Content.styled(mover.metric, DIM),
        Content.styled(str(heat.figure(mover.metric, mover.now)), WARN if worse else GOOD),
        Content.styled(bars(mover.history, 20).lstrip(), INK),
    )
