"""Orders and holds of a cell, the newest first; those of one sale, buyer or state; each in full."""

from typing import ClassVar, Final, Literal

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message

from admin_tui.answers import Holds, OrderRow, Orders
from admin_tui.feed import Refused, Unreachable
from admin_tui.filters import Filter
from admin_tui.picture import Picture
from admin_tui.replay import Position, Want
from admin_tui.screens.base import TopScreen
from admin_tui.shell import Table
from admin_tui.trade import TABS, BadWanted, Tab, Traded, Wanted, read, state_of, sums
from admin_tui.trade_list import Direction, Question, TradeList
from admin_tui.widgets import order_rows
from admin_tui.widgets.drawn import Drawn
from admin_tui.widgets.keyed_table import KeyedTable
from admin_tui.widgets.order_rows import Shown
from admin_tui.widgets.tabs import TabLine

PAGE: Final = 100
ID_TABS: Final[dict[str, Tab]] = {"ord_": "orders", "hld_": "holds"}
TYPES: Final[dict[Tab, type[Orders] | type[Holds]]] = {"orders": Orders, "holds": Holds}


class PageHeard(Message):
    """A page of orders or holds, or why there is none."""

    def __init__(self, question: Question, page: Orders | Holds | None, why: str = "") -> None:
        super().__init__()
        self.question = question
        self.page = page
        self.why = why


class OrdersScreen(TopScreen):
    """Two lists in one place: orders, and the holds that they come from."""

    MODE = "orders"
    TITLE = "orders"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "other", "Orders/holds"),
        Binding("w", "only('sale')", "This sale's"),
        Binding("u", "only('buyer')", "This buyer's"),
        Binding("t", "state", "State"),
        Binding("b", "older", "Further back"),
        Binding("n", "newest", "Newest"),
        Binding("s", "sale", "Go to sale"),
        Binding("enter", "sale", "Go to sale", show=False),
        Binding("l", "log", "In the log"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._wanted = Wanted()
        self._lists: dict[Tab, TradeList] = {tab: TradeList() for tab in TABS}
        self._round = 0

    def body(self) -> ComposeResult:
        with Horizontal(id="orders-head"):
            yield TabLine(TABS, id="tabs")
            yield Drawn(id="orders-state")
        with Horizontal(id="orders-body"):
            with Vertical(id="list", classes="panel"):
                for tab in TABS:
                    yield KeyedTable[Shown](
                        order_rows.COLUMNS[tab], order_rows.draw, empty=f"no {tab}", follows=True, id=tab
                    )
                yield Drawn(id="orders-sums")
            with VerticalScroll(id="detail", classes="panel", can_focus=True):
                yield Drawn(id="order-facts")

    @property
    def rows(self) -> KeyedTable[Shown]:
        """The list that is shown."""
        return self.query_one(f"#{self._wanted.tab}", KeyedTable)

    @property
    def current(self) -> Traded | None:
        """The order or hold under the cursor."""
        shown = self.rows.current
        return None if shown is None else shown.row

    @property
    def _list(self) -> TradeList:
        return self._lists[self._wanted.tab]

    @property
    def _stands(self) -> bool:
        """Somebody reads: the row under the cursor stays where it is."""
        keys = self.rows.keys
        return bool(keys) and (self.has_class("-open") or self.rows.key != keys[0])

    # --- what is shown ---

    def show(self, picture: Picture) -> None:
        search = (picture.selected, self._wanted, self._query, _until(picture), self._round)
        self._list.look_for(search)
        due = self._list.due(_end(picture), picture.at)
        if due is not None:
            self._pull(due)
        self._show_rows(picture)

    @property
    def _query(self) -> str | None:
        """What the server can look for by itself: a part of an id."""
        text = self.pattern.text
        plain = text.replace("_", "").isalnum() and text.isascii() and not self.pattern.inverse
        return text if plain and text[:4] in {"ord_", "hld_", "usr_", "sal_"} else None

    def _show_rows(self, picture: Picture) -> None:
        titles = {each.sale.id: each.sale.title for each in picture.sales if each.cell == picture.selected}
        until = _until(picture)
        rows = {
            id_: order_rows.shown(row, titles.get(row.sale_id, ""), picture.at)
            for id_, row in self._list.paged.rows.items()
            if self._wanted.has(row) and (until is None or row.position <= until)
        }
        table, read_now = self.rows, self.rows.key if self._stands else ""
        table.show({id_: each for id_, each in rows.items() if self._matches(each)})
        table.move_to(read_now)
        for tab in TABS:
            self.query_one(f"#{tab}").display = tab == self._wanted.tab
        self._show_around(picture)

    def _matches(self, each: Shown) -> bool:
        row = each.row
        hold = row.hold_id if isinstance(row, OrderRow) else ""
        return self.pattern.matches(row.id, hold, each.title, row.sale_id, row.buyer_id, state_of(row))

    def _show_around(self, picture: Picture) -> None:
        list_, focus, tab = self._list, picture.focus, self._wanted.tab
        totals = None if focus is None or focus.frame is None else focus.frame.totals
        counts = {} if totals is None else {"orders": totals.orders, "holds": totals.holds}
        self.query_one(TabLine).show(tab, counts)
        moves = order_rows.moves(until=_until(picture), folding=list_.folding, stands=self._stands)
        self.query_one("#orders-state", Drawn).show(order_rows.head(self._wanted, moves, list_.why))
        shown = sums(each.row for each in self.rows.rows.values())
        self.query_one("#orders-sums", Drawn).show(order_rows.totals(shown))
        panel = self.query_one("#list")
        panel.border_title = tab
        full = "full: narrow it by sale, buyer or state" if list_.paged.is_full else ""
        panel.border_subtitle = full or ("b: further back" if list_.paged.has_more else "")
        self._show_detail(picture)

    def _show_detail(self, picture: Picture) -> None:
        each, panel = self.rows.current, self.query_one("#detail")
        panel.set_class(each is None, "-empty")
        panel.border_title = "" if each is None else self._wanted.tab[:-1]
        panel.border_subtitle = "" if each is None else "s: its sale · l: its log"
        if each is not None:
            self.query_one("#order-facts", Drawn).show(order_rows.detail(each, picture.at))

    def table(self) -> Table:
        """Return the rows that are shown."""
        rows = [each.row for each in self.rows.rows.values()]
        columns, values = order_rows.table(self._wanted.tab, self.picture.selected, rows)
        return Table(self._wanted.tab, columns, values)

    def here(self) -> Want | None:
        """Return the position of what is under the cursor."""
        each = self.current
        return None if each is None else Position(each.position)

    # --- what is asked for ---

    def _pull(self, direction: Direction, cursor: str | None = None) -> None:
        question = self._list.ask(self._wanted.tab, direction, self.picture.at, cursor)
        if question is not None:
            params = {"limit": PAGE, "cursor": cursor, "q": self._query, **self._wanted.params}
            self._ask(question, params)

    @work(group="page")
    async def _ask(self, question: Question, params: dict[str, str | int | None]) -> None:
        try:
            page = await self.top.ask(f"/ops/{question.tab}", params, TYPES[question.tab])
        except (Refused, Unreachable) as error:
            self.post_message(PageHeard(question, None, str(error)))
        else:
            self.post_message(PageHeard(question, page))

    def on_page_heard(self, message: PageHeard) -> None:
        question = message.question
        shown = question.tab == self._wanted.tab
        heard = self._lists[question.tab].hear(question, message.page, message.why, stand=self._stands)
        if not heard or not shown:
            return
        self._show_rows(self.picture)
        if question.direction == "newer" and message.page is not None:
            self._look_again()

    def _look_again(self) -> None:
        """Ask for the page of the row under the cursor too, where that is not the first one."""
        cursor = self._list.paged.cursor_of(self.rows.key)
        if cursor is not None:
            self._pull("again", cursor)

    def aim(self, at: str) -> None:
        """Show an order or a hold by its id, a list (`holds sale sal_…`), or what has the word."""
        tab = ID_TABS.get(at[:4])
        try:
            wanted, rest = (Wanted(tab), at) if tab is not None else read(at)
        except BadWanted:
            wanted, rest = self._wanted, at
        self.pattern = Filter.parse(rest)
        self._want(wanted)
        if tab is not None:
            self.open_detail()

    # --- keys ---

    def _want(self, wanted: Wanted) -> None:
        other = wanted.tab != self._wanted.tab
        self._wanted = wanted
        self.show(self.picture)
        if other and not self.has_class("-open"):
            self.rows.focus()

    def action_other(self) -> None:
        """Show the other list."""
        self._want(self._wanted.other())

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        if event.name != self._wanted.tab:
            self.action_other()

    def action_only(self, name: Literal["sale", "buyer"]) -> None:
        """Show only what has the sale, or the buyer, of the row under the cursor; again, everything."""
        each, now = self.current, getattr(self._wanted, name)
        if now or each is not None:
            value = "" if now else getattr(each, f"{name}_id")
            self._want(msgspec.structs.replace(self._wanted, **{name: value}))

    def action_state(self) -> None:
        """Show only what stands where the next state says."""
        self._want(self._wanted.next_state())

    def action_older(self) -> None:
        """Look further back."""
        paged = self._list.paged
        if paged.has_more:
            self._pull("more", paged.next)

    def action_newest(self) -> None:
        """Ask anew, and follow what comes."""
        self._round += 1
        if self.rows.keys:
            self.rows.move_to(self.rows.keys[0])
        self.show(self.picture)

    def action_sale(self) -> None:
        """Show the sale."""
        each = self.current
        if each is not None:
            self.top.go("sales", each.sale_id)

    def action_log(self) -> None:
        """Show the commit that made it, from which its sale's log can be walked."""
        each = self.current
        if each is not None:
            self.top.go("log", str(each.position))

    def on_keyed_table_moved(self, event: KeyedTable.Moved) -> None:
        if event.table is not self.rows:
            return
        if self.has_class("-open"):
            self.trail = (event.key,) if event.key else ()
        self._show_around(self.picture)
        keys = self.rows.keys
        if len(keys) > 1 and event.key == keys[-1]:
            self.action_older()

    def on_keyed_table_chosen(self, _: KeyedTable.Chosen) -> None:
        self.open_detail()

    def open_detail(self) -> None:
        """Look at it alone."""
        self.add_class("-open")
        self.trail = (self.rows.key,) if self.rows.key else ()
        self.query_one("#detail").focus()

    def back(self) -> bool:
        """Leave what is open, then the narrowing."""
        if self.has_class("-open"):
            self.remove_class("-open")
            self.trail = ()
            self.rows.focus()
            return True
        if self._wanted.is_narrowed:
            self._want(Wanted(self._wanted.tab))
            return True
        return False


def _until(picture: Picture) -> int | None:
    """Return the position that a replay shows."""
    return None if picture.replay is None else picture.replay.position


def _end(picture: Picture) -> int | None:
    """Return the position of the selected cell's log; None where it does not move, or is not heard."""
    focus = picture.focus
    if picture.replay is not None or focus is None or focus.frame is None or not focus.connected:
        return None
    return focus.frame.position
