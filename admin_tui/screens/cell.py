"""One cell: its rates, how long things take, its processes, its log, what happens in it."""

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from admin_tui.picture import CellPicture, Picture
from admin_tui.screens.base import TopScreen
from admin_tui.shell import Table
from admin_tui.text import inert
from admin_tui.widgets import figures, log_lines, process_rows
from admin_tui.widgets.drawn import Drawn, Fact, facts, pair, row
from admin_tui.widgets.figures import BAD, DIM, GOOD
from admin_tui.widgets.keyed_table import KeyedTable
from admin_tui.widgets.latency_rows import LATENCY_COLUMNS, draw_latency
from admin_tui.widgets.spark import Spark
from admin_tui.widgets.vitals import cell_state, log_facts
from admin_tui.wire import Frame, Latency, Line, ProcessRow

SPARKS: Final = (
    ("holds", "holds"),
    ("orders", "orders"),
    ("released", "released"),
    ("expired", "expired"),
    ("commits", "commits"),
    ("requests", "requests"),
    ("refusals", "refusals"),
    ("deliveries", "deliveries"),
)


class CellScreen(TopScreen):
    """The selected cell; brackets go to the one before or after it."""

    MODE = "cell"
    TITLE = "cell"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "other(-1)", "Cell before", key_display="["),
        Binding("right_square_bracket", "other(1)", "Next cell", key_display="]"),
        Binding("l", "log", "Log"),
    ]

    def body(self) -> ComposeResult:
        yield Drawn(id="headline")
        with Horizontal(id="rates"):
            for name, label in SPARKS:
                yield Spark(label, id=f"rate-{name}", classes="panel")
        with Horizontal(id="inside"):
            with Vertical(id="processes", classes="panel") as processes:
                processes.border_title = "processes"
                yield KeyedTable[ProcessRow](
                    process_rows.COLUMNS,
                    process_rows.draw,
                    empty="none are known (a replay has no telemetry)",
                    id="process-rows",
                )
            with Vertical(id="inside-right"):
                with Vertical(id="latencies", classes="panel") as latencies:
                    latencies.border_title = "latencies, last 10 s"
                    yield KeyedTable[Latency](
                        LATENCY_COLUMNS, draw_latency, empty="none were measured", id="latency-rows"
                    )
                with Vertical(id="log-state", classes="panel") as log:
                    log.border_title = "log"
                    yield Drawn(id="log-facts")
        with Vertical(id="last-events", classes="panel") as events:
            events.border_title = "last events"
            yield KeyedTable[Line](
                log_lines.COLUMNS, log_lines.draw, empty="no events yet", follows=True, id="line-rows"
            )

    def show(self, picture: Picture) -> None:
        cell = picture.focus
        if cell is None:
            self.query_one("#headline", Drawn).show(Content.styled("no cell is selected", DIM))
            return
        self.query_one("#headline", Drawn).show(headline(cell, picture.at))
        for name, _ in SPARKS:
            history = cell.histories.get(name, [])
            figure = figures.rate(history[-1]) if history else figures.NONE
            self.query_one(f"#rate-{name}", Spark).show(history, figure)
        if cell.frame is not None:
            self._show_frame(cell.frame)

    def _show_frame(self, frame: Frame) -> None:
        self.query_one("#process-rows", KeyedTable).show({each.name: each for each in frame.processes})
        self.query_one("#latency-rows", KeyedTable).show({each.name: each for each in frame.latencies})
        self.query_one("#log-facts", Drawn).show(facts([*log_facts(frame), *more_log_facts(frame)]))
        lines = [
            line for line in frame.lines if self.pattern.matches(line.type, line.key, line.text, line.by)
        ]
        self.query_one("#line-rows", KeyedTable).show(log_lines.rows(lines))

    def table(self) -> Table | None:
        """Return the processes."""
        cell = self.picture.focus
        if cell is None or cell.frame is None:
            return None
        rows = [
            (each.name, each.kind, each.state, each.detail, each.pid, each.restarts, each.rss, each.cpu)
            for each in cell.frame.processes
        ]
        return Table(
            f"processes-{cell.id}", ("name", "kind", "state", "detail", "pid", "restarts", "rss", "cpu"), rows
        )

    def aim(self, at: str) -> None:
        """Show another cell, else filter the events."""
        if self.picture.cell(at) is not None:
            self.top.select_cell(at)
        else:
            super().aim(at)

    def action_other(self, by: int) -> None:
        """Show the cell before or after this one."""
        cells = [cell.id for cell in self.picture.cells]
        if self.picture.selected in cells:
            self.top.select_cell(cells[(cells.index(self.picture.selected) + by) % len(cells)])

    def action_log(self) -> None:
        """Show the log of the cell."""
        self.top.go("log")

    def on_keyed_table_chosen(self, event: KeyedTable.Chosen) -> None:
        """An event opens in the log."""
        chosen = event.table.current
        if isinstance(chosen, Line):
            self.top.go("log", str(chosen.position))


def headline(cell: CellPicture, now: int) -> Content:
    """Return one line: the cell, its state, where it is, what it holds."""
    name = Content.assemble((inert(cell.id, 20), "bold"), "  ", cell_state(cell))
    if cell.lost_since is not None:
        gone = Content.styled(
            f"not heard for {figures.span(now - cell.lost_since)}: {inert(cell.why, 60)}", BAD
        )
        return Content.assemble(" ", row([name, gone]))
    frame = cell.frame
    if frame is None:
        return Content.assemble(" ", row([name, Content.styled(inert(cell.url, 60), DIM)]))
    totals = frame.totals
    wrong = totals.oversold + totals.duplicate_units
    parts = [
        name,
        pair("sockets", Content.styled(f"{totals.sockets:,}", "bold")),
        pair("open", Content.styled(f"{totals.open:,}", "bold")),
        pair("sold", Content.styled(f"{totals.sold:,}", "bold")),
        pair("oversold", Content.styled(f"{wrong:,}", BAD if wrong else GOOD)),
        Content.styled(inert(cell.url, 60), DIM),
    ]
    return Content.assemble(" ", row(parts))


def more_log_facts(frame: Frame) -> list[Fact]:
    """Return what else is known of the log."""
    log = frame.log
    return [
        Fact("position", Content.styled(f"{frame.position:,}", "bold")),
        Fact("messages", Content.assemble(f"{log.messages:,}", (f" · from {log.first:,}", DIM))),
        Fact("epoch", Content.assemble(inert(log.epoch, 20) or "-", (f" · slots {slots(frame.slots)}", DIM))),
    ]


def slots(ranges: Sequence[tuple[int, int]]) -> str:
    """Return ranges of slots in words."""
    return (
        ", ".join(f"{first}-{last}" for first, last in ranges[:4]) + (" …" if len(ranges) > 4 else "") or "-"
    )
