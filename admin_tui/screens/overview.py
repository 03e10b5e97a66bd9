"""All cells at a glance: totals, rates, the heat map, who moves, what is wrong, the sales that need eyes."""

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive

from admin_tui.metrics import METRICS
from admin_tui.picture import CellPicture, CellSale, Mover, Picture
from admin_tui.screens.base import TopScreen
from admin_tui.shell import Table
from admin_tui.text import inert
from admin_tui.widgets import figures, heat, log_lines, mover_rows, sale_rows, series
from admin_tui.widgets.alerts import AlertList
from admin_tui.widgets.drawn import Drawn, entitle, facts
from admin_tui.widgets.figures import BAD, DIM, GOOD, INK, WARN, Figure
from admin_tui.widgets.heat import DOWN, GLYPHS, OVER
from admin_tui.widgets.heatmap import HeatMap
from admin_tui.widgets.keyed_table import KeyedTable
from admin_tui.widgets.spark import Spark
from admin_tui.widgets.stat import Stat
from admin_tui.widgets.vitals import vitals
from admin_tui.wire import Line

SPARKS: Final = (
    ("orders", "orders"),
    ("holds", "holds"),
    ("requests", "requests"),
    ("messages", "chat"),
    ("sockets", "sockets"),
    ("p99", "p99"),
)
STATS: Final = {
    "open": "open",
    "stock": "stock",
    "sold": "sold",
    "held": "held",
    "orders": "orders",
    "chat": "messages",
}
SALES_SHOWN: Final = 40
TURNS: Final = 4
SOON_MS: Final = 750
# More cells than these need the room for themselves, unless the terminal is roomy.
CROWD: Final = 100
# So few leave the larger part of the screen to the sales.
FEW: Final = 24
ROOMY: Final = 48


class OverviewScreen(TopScreen):
    """With one cell, its sales and events take the place of the heat map and the movers."""

    MODE = "overview"
    TITLE = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "metric(1)", "Metric"),
        Binding("M", "metric(-1)", "Metric before", show=False),
        Binding("s", "go_to('sales')", "Sales"),
        Binding("c", "go_to('cell')", "Cell"),
    ]

    metric = reactive("load", init=False)

    def __init__(self) -> None:
        super().__init__()
        self._listing = sale_rows.Listing()
        self._tiles = heat.Tiles()
        self._series = {name: series.Rolling(name, max if name == "p99" else sum) for name, _ in SPARKS}
        self._turn = 0
        self._shown_at = 0

    def body(self) -> ComposeResult:
        self.set_class(len(self.picture.cells) > CROWD, "-crowd")
        self.set_class(len(self.picture.cells) > 1, "-many")
        self.set_class(1 < len(self.picture.cells) <= FEW, "-few")
        with Horizontal(id="totals"):
            for name in ("open", "stock", "sold", "held", "orders", "chat"):
                yield Stat(STATS[name], id=f"total-{name}")
        with Horizontal(id="sparks"):
            for name, label in SPARKS:
                yield Spark(label, id=f"spark-{name}", classes="panel")
        if len(self.picture.cells) == 1:
            yield from self._one()
        else:
            yield from self._many()

    def _many(self) -> ComposeResult:
        with Horizontal(id="middle"):
            with Vertical(id="heat", classes="panel"):
                yield HeatMap(id="map")
            with Vertical(id="side"):
                with Vertical(id="movers", classes="panel") as movers:
                    movers.border_title = "top movers"
                    yield KeyedTable[Mover](
                        mover_rows.COLUMNS,
                        mover_rows.draw,
                        empty="nothing moves",
                        follows=True,
                        id="mover-rows",
                    )
                yield from self._alerts()
        with Horizontal(id="bottom"):
            yield from self._sales()

    def _one(self) -> ComposeResult:
        with Horizontal(id="middle"):
            yield from self._sales()
            with Vertical(id="side"):
                with Vertical(id="vitals", classes="panel") as vital:
                    vital.border_title = "cell"
                    yield Drawn(id="vital-facts")
                yield from self._alerts()
        with Horizontal(id="bottom"), Vertical(id="events", classes="panel") as events:
            events.border_title = "latest events"
            yield KeyedTable[Line](
                log_lines.COLUMNS, log_lines.draw, empty="no events yet", follows=True, id="event-rows"
            )

    def _alerts(self) -> ComposeResult:
        with Vertical(id="alerts", classes="panel") as alerts:
            alerts.border_title = "alerts"
            yield AlertList(id="alert-rows")

    def _sales(self) -> ComposeResult:
        with Vertical(id="sales", classes="panel") as sales:
            sales.border_title = "sales"
            yield KeyedTable[CellSale](
                sale_rows.COLUMNS, sale_rows.draw, empty="no sales yet", follows=True, id="sale-rows"
            )

    def on_resize(self) -> None:
        self.set_class(self.size.height >= ROOMY, "-roomy")

    # --- what is shown ---

    def show(self, picture: Picture) -> None:
        soon = 0 <= picture.at - self._shown_at < SOON_MS
        self._shown_at = picture.at
        if len(picture.cells) > CROWD and picture.replay is None and soon:
            self._listing.note(picture.cells)
            self._show_turn(picture)
        else:
            self._show_all(picture)

    def _show_turn(self, picture: Picture) -> None:
        """Show one part of many cells. Each has news once a second, and no picture may take long: parts take turns."""
        self._turn = (self._turn + 1) % TURNS
        match self._turn:
            case 1:
                self._show_sparks(picture, SPARKS[::2])
                self._show_sales(picture)
            case 3:
                self._show_sparks(picture, SPARKS[1::2])
                self._show_totals(picture)
                self._show_alerts(picture)
                self._show_movers(picture)
            case _:
                self._show_heat(picture)

    def _show_all(self, picture: Picture) -> None:
        if len(picture.cells) > 1:
            self._show_heat(picture)
        elif picture.focus is not None:
            self._show_cell(picture.focus)
        self._show_totals(picture)
        self._show_sparks(picture)
        self._show_sales(picture)
        self._show_alerts(picture)
        self._show_movers(picture)

    def _show_alerts(self, picture: Picture) -> None:
        self.query_one(AlertList).show_alerts(picture.alerts, cells=len(picture.cells))
        entitle(self.query_one("#alerts"), "alerts", f"{len(picture.alerts):,}" if picture.alerts else "")

    def _show_movers(self, picture: Picture) -> None:
        if len(picture.cells) > 1:
            movers = {f"{mover.cell}/{mover.metric}": mover for mover in picture.movers}
            self.query_one("#mover-rows", KeyedTable).show(movers)

    def _show_cell(self, cell: CellPicture) -> None:
        entitle(self.query_one("#vitals"), f"cell {inert(cell.id, 16)}")
        self.query_one("#vital-facts", Drawn).show(facts(vitals(cell)))
        if cell.frame is not None:
            self.query_one("#event-rows", KeyedTable).show(log_lines.rows(cell.frame.lines))

    def _show_totals(self, picture: Picture) -> None:
        totals = picture.totals
        through = figures.share(totals.sold / totals.stock) if totals.stock else Figure("0", "%")
        wrong = totals.oversold + totals.duplicate_units
        oversold = Content.styled(f"oversold {wrong:,}", BAD if wrong else DIM)
        notes: dict[str, tuple[int, Content | str, str]] = {
            "open": (
                totals.open,
                f"{totals.paused:,} paused",
                GOOD if totals.open else "bold",
            ),
            "stock": (totals.stock, f"{totals.available:,} left", "bold"),
            "sold": (totals.sold, f"{through} of stock", "bold"),
            "held": (totals.held, oversold, "bold"),
            "orders": (totals.orders, f"{totals.holds:,} holds", "bold"),
            "chat": (totals.messages, f"{totals.rooms:,} rooms", "bold"),
        }
        for name, (value, note, style) in notes.items():
            self.query_one(f"#total-{name}", Stat).show(value, figures.count(value), note, style)

    def _show_sparks(self, picture: Picture, sparks: Sequence[tuple[str, str]] = SPARKS) -> None:
        for name, _ in sparks:
            spark = self.query_one(f"#spark-{name}", Spark)
            # Of hundreds of cells, what there is no room for is not worth adding up.
            history = self._series[name].of(picture, spark.size.width or series.POINTS)
            spark.show(history, _newest(name, history))

    def _show_heat(self, picture: Picture) -> None:
        heat_map = self.query_one(HeatMap)
        heat_map.mono = self.top.mono
        tiles, scale = self._tiles.of(self.metric, picture.cells)
        heat_map.show(tiles)
        down = sum(tile.level == DOWN for tile in tiles)
        over = sum(tile.level == OVER for tile in tiles)
        parts = [
            Content.styled(f"{len(tiles):,} cells", "bold"),
            Content.styled(f"{len(tiles) - down - over:,} ok", GOOD),
        ]
        parts += [Content.styled(f"{over:,} over", WARN)] if over else []
        parts += [Content.styled(f"{down:,} down", BAD)] if down else []
        title = Content.assemble(Content(" · ").join(parts), ("   by ", DIM), (self.metric, INK))
        entitle(self.query_one("#heat"), title, self._under(heat_map, scale))

    def _under(self, heat_map: HeatMap, scale: heat.Scale) -> Content:
        """Return the legend, behind the value of the cell under the cursor."""
        tile = heat_map.current
        marks = [Content.assemble((f"{GLYPHS[level]} ", "bold"), text) for level, text in heat.legend(scale)]
        marks.append(Content.assemble(("x ", "bold"), "down"))
        legend = Content("  ").join(marks)
        if tile is None:
            return legend
        return Content.assemble((f"{tile.id} ", "bold"), (tile.text, INK), "   ", legend)

    def _show_sales(self, picture: Picture) -> None:
        listed = self._listing.of(picture.cells, self.pattern)
        table = self.query_one("#sale-rows", KeyedTable)
        table.hide(*(("cell",) if len(picture.cells) == 1 else ()))
        table.show(self._listing.first(listed, SALES_SHOWN))
        more = len(listed) - SALES_SHOWN
        entitle(self.query_one("#sales"), "sales", f"{more:,} more (F2)" if more > 0 else "")

    def table(self) -> Table:
        """Return the cells with all of their metrics."""
        rows = [
            (cell.id, cell.state, *(cell.metric(name) for name in METRICS)) for cell in self.picture.cells
        ]
        return Table("cells", ("cell", "state", *METRICS), rows)

    # --- keys ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """With one cell there is no heat map to show another metric in."""
        if action == "metric" and len(self.picture.cells) == 1:
            return False
        return super().check_action(action, parameters)

    def action_metric(self, by: int) -> None:
        """Show another metric in the heat map."""
        names = list(METRICS)
        self.metric = names[(names.index(self.metric) + by) % len(names)]

    def on_screen_resume(self) -> None:
        self._shown_at = 0
        super().on_screen_resume()

    def watch_pattern(self) -> None:
        super().watch_pattern()
        self._show_sales(self.picture)

    def watch_metric(self) -> None:
        self._show_heat(self.picture)

    def action_go_to(self, mode: str) -> None:
        """Show another mode, about the cell under the cursor."""
        tile = self.query_one(HeatMap).current
        if tile is not None and mode == "cell":
            self.top.select_cell(tile.id)
        self.top.go(mode)

    def aim(self, at: str) -> None:
        """Put the cursor on a cell, else filter by the word."""
        if self.picture.cell(at) is not None:
            self.query_one(HeatMap).select(at)
        else:
            super().aim(at)

    def on_heat_map_moved(self, _: HeatMap.Moved) -> None:
        self._show_heat(self.picture)

    def on_heat_map_chosen(self, event: HeatMap.Chosen) -> None:
        self.top.select_cell(event.cell)
        self.top.go("cell")

    def on_keyed_table_chosen(self, event: KeyedTable.Chosen) -> None:
        row = event.table.current
        match row:
            case CellSale():
                self.top.select_cell(row.cell)
                self.top.go("sales", row.sale.id)
            case Mover():
                self.top.select_cell(row.cell)
                self.top.go("cell")
            case Line():
                self.top.go("log", str(row.position))


def _newest(name: str, history: Sequence[float]) -> figures.Figure:
    """Return the last point of a series; what the log does not tell has none in a replay."""
    if not history:
        return figures.NONE
    if name == "p99":
        return figures.duration(history[-1])
    return figures.count(history[-1]) if name == "sockets" else figures.rate(history[-1])
