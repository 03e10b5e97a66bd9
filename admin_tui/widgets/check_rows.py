"""Checks, alerts and processes of many cells as rows of tables."""

from typing import Final, NamedTuple

from textual.content import Content

from admin_tui.answers import Check
from admin_tui.picture import CellAlert
from admin_tui.text import inert
from admin_tui.widgets import figures, process_rows
from admin_tui.widgets.alerts import SIGNS
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.drawn import MARKS
from admin_tui.widgets.figures import DIM, INK
from admin_tui.wire import ProcessRow

CHECK_COLUMNS: Final = (
    Column("state", "", 6),
    Column("name", "check", 18),
    Column("detail", "what was found", least=20),
    Column("mend", "what mends it", 34, rank=1),
)
ALERT_COLUMNS: Final = (
    Column("sign", "", 10),
    Column("since", "since", 8),
    Column("cell", "cell", 8, rank=2),
    Column("what", "what", least=20),
    Column("mend", "what mends it", 34, rank=1),
)
PROCESS_COLUMNS: Final = (Column("cell", "cell", 8, rank=7), *process_rows.COLUMNS)


class CellProcess(NamedTuple):
    """A process and the cell it is of."""

    cell: str
    process: ProcessRow


def draw_check(check: Check) -> Row:
    """Return the cells of a check."""
    sign, style = MARKS.get(check.state, ("?", DIM))
    return (
        Content.styled(f"{sign} {inert(check.state, 5)}", style),
        Content.styled(inert(check.name, 40), "bold" if check.state != "ok" else ""),
        Content(inert(check.detail, 300)),
        Content.styled(inert(check.mend, 200), INK),
    )


def draw_alert(each: CellAlert) -> Row:
    """Return the cells of an alert."""
    sign, style = SIGNS.get(each.alert.severity, ("?", DIM))
    return (
        Content.styled(f"{sign} {inert(each.alert.severity, 8)}", style),
        Content.styled(figures.clock(each.alert.since), DIM),
        Content(inert(each.cell, 12)),
        Content.styled(inert(each.alert.what, 300), "bold"),
        Content.styled(inert(each.alert.mend, 200), INK),
    )


def draw_process(each: CellProcess) -> Row:
    """Return the cells of a process."""
    return (Content.styled(inert(each.cell, 12), DIM), *process_rows.draw(each.process))
