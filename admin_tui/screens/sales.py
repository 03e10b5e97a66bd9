"""Sales: how each sells, when it will be sold out, and the keys that steer it."""

from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message

from admin_tui.answers import SaleDetail, Sales
from admin_tui.feed import Refused, Unreachable
from admin_tui.picture import CellSale, Picture
from admin_tui.screens.base import TopScreen
from admin_tui.shell import Table
from admin_tui.text import inert
from admin_tui.widgets import sale_detail, sale_rows
from admin_tui.widgets.drawn import entitle
from admin_tui.widgets.figures import BAD, GOOD
from admin_tui.widgets.keyed_table import MAX_ROWS, KeyedTable
from admin_tui.widgets.ordering import Ordering
from admin_tui.widgets.sale_panel import SalePanel

# What can be done to a sale in which state.
POSSIBLE: Final = {
    "arm": {"draft"},
    "open": {"armed"},
    "pause": {"open"},
    "resume": {"paused"},
    "throttle": {"draft", "armed", "open", "paused"},
    "end": {"open", "paused"},
    "kill": {"draft", "armed", "open", "paused"},
}
FOUND: Final = 100


class SaleHeard(Message):
    """The decisions about a sale; without them, why there are none."""

    def __init__(self, cell: str, sale: str, detail: SaleDetail | None, why: str = "") -> None:
        super().__init__()
        self.cell = cell
        self.sale = sale
        self.detail = detail
        self.why = why


class SalesFound(Message):
    """Sales that are not in the frame, but are what was looked for."""

    def __init__(self, cell: str, sales: Sales) -> None:
        super().__init__()
        self.cell = cell
        self.sales = sales


class SalesScreen(TopScreen):
    """A list, and beside it the sale under the cursor; in a narrow terminal one or the other."""

    MODE = "sales"
    TITLE = "sales"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "steer('arm')", "Arm"),
        Binding("o", "steer('open')", "Open"),
        Binding("p", "steer('pause')", "Pause"),
        Binding("u", "steer('resume')", "Resume"),
        Binding("t", "steer('throttle')", "Throttle"),
        Binding("e", "steer('end')", "End"),
        Binding("K", "steer('kill')", "Kill"),
        Binding("s", "sort", "Sort"),
        Binding("v", "room", "Room"),
        Binding("l", "log", "Log"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._order = Ordering(sale_rows.MEASURES, sorted)
        self._listing = sale_rows.Listing()
        self._detail: SaleDetail | None = None
        self._why = ""
        self._asked: tuple[object, ...] = ()
        self._found: dict[str, CellSale] = {}
        self._aim = ""
        self._state = ""

    def body(self) -> ComposeResult:
        with Horizontal(id="sales-body"):
            with Vertical(id="list", classes="panel") as panel:
                panel.border_title = "sales"
                yield KeyedTable[CellSale](sale_rows.COLUMNS, sale_rows.draw, empty="no sales", id="rows")
            yield SalePanel(id="detail", classes="panel")

    @property
    def rows(self) -> KeyedTable[CellSale]:
        """The list."""
        return self.query_one("#rows", KeyedTable)

    @property
    def current(self) -> CellSale | None:
        """The sale under the cursor."""
        return self.rows.current

    # --- what is shown ---

    def show(self, picture: Picture) -> None:
        others = [] if picture.replay is not None else list(self._found.values())
        shown = self._listing.of(picture.cells, self.pattern, others)
        table = self.rows
        table.hide(*(("cell",) if len(picture.cells) == 1 else ()))
        table.mark_sorted(self._order.column, descending=self._order.descending)
        table.show(sale_rows.rows(self._order.sorted(shown)[:MAX_ROWS]))
        self._follow_aim()
        live = sum(listed[-1].state == "open" for listed in shown)
        title = Content.assemble("sales ", (f"{len(shown):,}", "bold"), (f"  {live:,} open", GOOD))
        more = sum(cell.frame.more_sales for cell in picture.cells if cell.frame is not None)
        entitle(self.query_one("#list"), title, f"{more:,} more: / finds them" if more else "")
        self._show_detail(picture)

    def _follow_aim(self) -> None:
        if self._aim:
            key = next((key for key, each in self.rows.rows.items() if each.sale.id == self._aim), "")
            if key:
                self._aim = ""
                self.rows.move_to(key)

    def _show_detail(self, picture: Picture) -> None:
        each = self.current
        state = "" if each is None or picture.replay is not None else each.sale.state
        if state != self._state:
            self._state = state
            self.refresh_bindings()
        self.query_one(SalePanel).show(each, picture)
        if each is not None:
            self._show_trail(picture, each)

    def _show_trail(self, picture: Picture, each: CellSale) -> None:
        moment = picture.replay.position if picture.replay is not None else None
        asked = (each.cell, each.sale.id, each.sale.revision, moment)
        if asked != self._asked:
            self._asked = asked
            self._ask_about(each.cell, each.sale.id)
        known = self._detail is not None and self._detail.sale.id == each.sale.id
        if self._why and not known:
            self.query_one(SalePanel).show_trail(Content.styled(inert(self._why, 200), BAD))
        elif known and self._detail is not None:
            self.query_one(SalePanel).show_trail(sale_detail.trail(self._detail.moves))

    def table(self) -> Table:
        """Return the sales that are listed."""
        columns = ("cell", "id", "title", "state", "stock", "available", "held", "sold", "orders", "throttle")
        rows = [
            (each.cell, *(getattr(each.sale, name) for name in columns[1:]))
            for each in self.rows.rows.values()
        ]
        return Table("sales", columns, rows)

    # --- what is asked for ---

    @work(exclusive=True, group="sale")
    async def _ask_about(self, cell: str, sale: str) -> None:
        try:
            detail = await self.top.ask(f"/ops/sales/{sale}", {}, SaleDetail, cell=cell)
        except (Refused, Unreachable) as error:
            self.post_message(SaleHeard(cell, sale, None, str(error)))
        else:
            self.post_message(SaleHeard(cell, sale, detail))

    @work(exclusive=True, group="find")
    async def _find(self, cell: str, text: str) -> None:
        try:
            found = await self.top.ask("/ops/sales", {"q": text, "limit": FOUND}, Sales, cell=cell)
        except (Refused, Unreachable):
            return  # the list goes on with what the frames have; the banner says when a cell is not heard
        self.post_message(SalesFound(cell, found))

    def on_sale_heard(self, message: SaleHeard) -> None:
        self._detail, self._why = message.detail, message.why
        if message.detail is not None and self._aim == message.sale:
            extra = CellSale(message.cell, message.detail.sale)
            self._found[sale_rows.key_of(extra)] = extra
        elif message.detail is None and self._aim == message.sale:
            self._aim = ""
            self.top.tell(message.why, severity="warning")
        self.paint(self.picture)

    def on_sales_found(self, message: SalesFound) -> None:
        found = (CellSale(message.cell, sale) for sale in message.sales.items)
        self._found = {sale_rows.key_of(each): each for each in found}
        self.paint(self.picture)

    def watch_pattern(self) -> None:
        super().watch_pattern()
        more = any(cell.frame.more_sales for cell in self.picture.cells if cell.frame is not None)
        if more and self.pattern.text and not self.pattern.inverse:
            self._find(self.picture.selected, self.pattern.text)

    def aim(self, at: str) -> None:
        """Put the cursor on a sale, asking for it where no frame has it; else filter by the word."""
        if not at.startswith("sal_"):
            super().aim(at)
            return
        self._aim = at
        self.show(self.picture)
        self.open_detail()
        if self._aim:
            self._ask_about(self.picture.selected, at)

    # --- keys ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show the keys of what can be done to the sale in its state; in a replay there are none."""
        if action == "steer" and self.is_mounted:
            return self._state in POSSIBLE[str(parameters[0])]
        return super().check_action(action, parameters)

    def action_steer(self, what: str) -> None:
        """Do something to the sale under the cursor."""
        each = self.current
        if each is not None:
            self.top.steer(each.cell, each.sale, what)

    def action_sort(self) -> None:
        """Order by the next column."""
        self._order.next()
        self.show(self.picture)

    def action_room(self) -> None:
        """Show the chat room of the sale."""
        if self.current is not None:
            self.top.select_cell(self.current.cell)
            self.top.go("chat", self.current.sale.id)

    def action_log(self) -> None:
        """Show the log of the sale."""
        if self.current is not None:
            self.top.select_cell(self.current.cell)
            self.top.go("log", f"sale.{self.current.sale.id}")

    def on_keyed_table_head_clicked(self, event: KeyedTable.HeadClicked) -> None:
        self._order.choose(event.column)
        self.show(self.picture)

    def on_keyed_table_moved(self, _: KeyedTable.Moved) -> None:
        if self.has_class("-open"):
            self._name_trail()
        self._show_detail(self.picture)

    def on_keyed_table_chosen(self, _: KeyedTable.Chosen) -> None:
        self.open_detail()

    def open_detail(self) -> None:
        """Look at the sale alone."""
        self.add_class("-open")
        self._name_trail()
        self.query_one(SalePanel).focus()

    def _name_trail(self) -> None:
        each = self.current
        self.trail = () if each is None else (each.sale.title or each.sale.id,)

    def back(self) -> bool:
        """Leave the sale for the list."""
        if not self.has_class("-open"):
            return False
        self.remove_class("-open")
        self.trail = ()
        self.rows.focus()
        return True
