"""Health: what `titan doctor` knows of the selected cell, the alerts and the processes of all."""

from typing import Any, ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message

from admin_tui.answers import Check, Checks
from admin_tui.feed import Refused, Unreachable
from admin_tui.picture import CellAlert, Picture
from admin_tui.screens.base import TopScreen
from admin_tui.shell import Table
from admin_tui.text import inert
from admin_tui.widgets import check_rows
from admin_tui.widgets.alerts import ordered
from admin_tui.widgets.check_rows import ALERT_COLUMNS, CHECK_COLUMNS, PROCESS_COLUMNS, CellProcess
from admin_tui.widgets.drawn import Drawn, Fact, entitle, facts
from admin_tui.widgets.figures import BAD, DIM, GOOD, INK, WARN
from admin_tui.widgets.keyed_table import KeyedTable
from admin_tui.widgets.vitals import RUNNING

AGAIN_MS: Final = 10_000
GRAVE: Final = {"fail": 0, "warn": 1}


class ChecksHeard(Message):
    """What was found, or why nothing was."""

    def __init__(self, cell: str, checks: Checks | None, why: str = "") -> None:
        super().__init__()
        self.cell = cell
        self.checks = checks
        self.why = why


class HealthScreen(TopScreen):
    """What is wrong stands above what is right; below is the mend of what is under the cursor."""

    MODE = "health"
    TITLE = "health"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "again", "Check again"),
        Binding("c", "cell", "Cell"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._checks: list[Check] = []
        self._cell = ""
        self._asked = 0
        self._why = ""

    def body(self) -> ComposeResult:
        with Vertical(id="checks", classes="panel"):
            yield KeyedTable[Check](
                CHECK_COLUMNS, check_rows.draw_check, empty="nothing was checked yet", id="check-rows"
            )
        with Vertical(id="all-alerts", classes="panel"):
            yield KeyedTable[CellAlert](
                ALERT_COLUMNS, check_rows.draw_alert, empty="nothing to report", id="all-alert-rows"
            )
        with Vertical(id="all-processes", classes="panel"):
            yield KeyedTable[CellProcess](
                PROCESS_COLUMNS, check_rows.draw_process, empty="none are known", id="all-process-rows"
            )
        yield Drawn(id="mend")

    # --- what is shown ---

    def show(self, picture: Picture) -> None:
        if picture.selected != self._cell:
            self._cell, self._checks, self._asked = picture.selected, [], 0
        if self._cell and abs(picture.at - self._asked) >= AGAIN_MS:
            self._asked = picture.at
            self._ask_checks(self._cell)
        self._show_checks()
        self._show_alerts(picture)
        self._show_processes(picture)
        self._show_mend()

    def _show_checks(self) -> None:
        found = sorted(self._checks, key=lambda each: GRAVE.get(each.state, 2))
        shown = {
            each.name: each for each in found if self.pattern.matches(each.name, each.state, each.detail)
        }
        self.query_one("#check-rows", KeyedTable).show(shown)
        bad = sum(each.state != "ok" for each in self._checks)
        word = Content.styled(f"{bad:,} to look at", WARN) if bad else Content.styled("all ok", GOOD)
        title = Content.assemble("checks of ", inert(self._cell, 16), "  ", word if self._checks else "")
        entitle(
            self.query_one("#checks"), title, Content.styled(inert(self._why, 80), BAD) if self._why else ""
        )

    def _show_alerts(self, picture: Picture) -> None:
        shown = {
            f"{each.cell}/{each.alert.id}": each
            for each in ordered(picture.alerts)
            if self.pattern.matches(each.cell, each.alert.what, each.alert.severity)
        }
        table = self.query_one("#all-alert-rows", KeyedTable)
        table.hide(*(("cell",) if len(picture.cells) == 1 else ()))
        table.show(shown)
        title = Content.assemble("alerts ", (f"{len(shown):,}", WARN if shown else DIM))
        entitle(self.query_one("#all-alerts"), title)

    def _show_processes(self, picture: Picture) -> None:
        rows = [
            CellProcess(cell.id, each)
            for cell in picture.cells
            if cell.frame is not None
            for each in cell.frame.processes
            if self.pattern.matches(cell.id, each.name, each.state, each.detail)
        ]
        away = sum(row.process.state not in RUNNING for row in rows)
        rows.sort(key=lambda row: (row.process.state in RUNNING, -row.process.restarts, row.cell))
        table = self.query_one("#all-process-rows", KeyedTable)
        table.hide(*(("cell",) if len(picture.cells) == 1 else ()))
        table.show({f"{row.cell}/{row.process.name}": row for row in rows})
        word = (
            Content.styled(f"{away:,} away", BAD)
            if away
            else Content.styled("all run", GOOD if rows else DIM)
        )
        entitle(self.query_one("#all-processes"), Content.assemble(f"processes {len(rows):,}  ", word))

    def _show_mend(self) -> None:
        """Show in full what is under the cursor of the table that has the focus."""
        table = (
            self.focused
            if isinstance(self.focused, KeyedTable)
            else self.query_one("#check-rows", KeyedTable)
        )
        match table.current:
            case Check() as check:
                about = (check.name, check.detail, "", check.mend)
            case CellAlert() as each:
                about = (f"{each.cell}: {each.alert.what}", each.alert.why, "", each.alert.mend)
            case CellProcess() as row:
                about = (
                    f"{row.cell}: {row.process.name}",
                    row.process.detail or row.process.state,
                    "",
                    "titan logs " + row.process.name,
                )
            case _:
                about = ("", "", "", "")
        what, why, _, mend = about
        self.query_one("#mend", Drawn).show(
            facts(
                [
                    Fact("what", Content.styled(inert(what, 300), "bold")),
                    Fact("why", inert(why, 600) or "-"),
                    Fact("mend", Content.styled(inert(mend, 300) or "nothing to do", INK if mend else DIM)),
                ]
            )
        )

    def table(self) -> Table:
        """Return the checks."""
        rows = [(each.name, each.state, each.detail, each.mend) for each in self._checks]
        return Table(f"health-{self._cell}", ("name", "state", "detail", "mend"), rows)

    # --- what is asked for ---

    @work(exclusive=True, group="checks")
    async def _ask_checks(self, cell: str) -> None:
        try:
            checks = await self.top.ask("/ops/health", {}, Checks, cell=cell)
        except (Refused, Unreachable) as error:
            self.post_message(ChecksHeard(cell, None, str(error)))
        else:
            self.post_message(ChecksHeard(cell, checks))

    def on_checks_heard(self, message: ChecksHeard) -> None:
        if message.cell == self._cell:
            self._why = message.why
            if message.checks is not None:
                self._checks = message.checks.items
            self.show(self.picture)

    # --- keys ---

    def action_again(self) -> None:
        """Check again now."""
        self._asked = 0
        self.show(self.picture)

    def action_cell(self) -> None:
        """Show the cell of the row under the cursor."""
        table: Any = self.focused
        row = table.current if isinstance(table, KeyedTable) else None
        if isinstance(row, CellAlert | CellProcess):
            self.top.select_cell(row.cell)
        self.top.go("cell")

    def on_keyed_table_moved(self, _: KeyedTable.Moved) -> None:
        self._show_mend()

    def on_descendant_focus(self) -> None:
        """The mend is that of the table that has the focus."""
        self._show_mend()
