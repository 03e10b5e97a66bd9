"""Orders and holds of a cell, the newest first; those of one sale or one buyer; each in full."""

from typing import Any, ClassVar, Final, Literal

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message

from admin_tui.feed import Refused, Unreachable
from admin_tui.filters import Filter
from admin_tui.paged import Paged
from admin_tui.picture import Picture
from admin_tui.replay import Position, Want
from admin_tui.screens.base import TopScreen
from admin_tui.shell import Table
from admin_tui.text import inert
from admin_tui.widgets import order_rows
from admin_tui.widgets.drawn import Drawn, facts, row
from admin_tui.widgets.figures import BAD, DIM, INK
from admin_tui.widgets.keyed_table import KeyedTable
from admin_tui.widgets.order_rows import HOLD_COLUMNS, ORDER_COLUMNS
from admin_tui.wire import HoldRow, Holds, OrderRow, Orders

PAGE: Final = 100
AGAIN_MS: Final = 1000
Tab = Literal["orders", "holds"]
TYPES: Final[dict[Tab, type[Orders] | type[Holds]]] = {"orders": Orders, "holds": Holds}
ID_PREFIXES: Final = {"ord_": "orders", "hld_": "holds"}


class PageHeard(Message):
    """A page of orders or holds, or why there is none. `search` tells which question it answers."""

    def __init__(self, search: object, *, first: bool, page: Orders | Holds | None, why: str = "") -> None:
        super().__init__()
        self.search = search
        self.first = first
        self.page = page
        self.why = why


class OrdersScreen(TopScreen):
    """Two lists in one place: orders, and the holds that they come from."""

    MODE = "orders"
    TITLE = "orders"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "other", "Orders/holds"),
        Binding("v", "only('sale')", "This sale's"),
        Binding("b", "only('buyer')", "This buyer's"),
        Binding("n", "more", "More"),
        Binding("g", "sale", "Go to sale"),
        Binding("l", "log", "In the log"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._tab: Tab = "orders"
        self._only: dict[str, str] = {}
        self._paged: Paged[Any] = Paged()
        self._search: tuple[object, ...] = ()
        self._pulled = (0, 0)
        self._pulling = False
        self._why = ""
        self._titles: dict[str, str] = {}

    def body(self) -> ComposeResult:
        yield Drawn(id="orders-head")
        with Horizontal(id="orders-body"):
            with Vertical(id="list", classes="panel"):
                yield KeyedTable[OrderRow](
                    ORDER_COLUMNS, self._draw_order, empty="no orders", follows=True, id="order-rows"
                )
                yield KeyedTable[HoldRow](
                    HOLD_COLUMNS, self._draw_hold, empty="no holds", follows=True, id="hold-rows"
                )
            with VerticalScroll(id="detail", classes="panel", can_focus=True):
                yield Drawn(id="order-facts", classes="block")

    @property
    def rows(self) -> KeyedTable[Any]:
        """The list that is shown."""
        return self.query_one("#order-rows" if self._tab == "orders" else "#hold-rows", KeyedTable)

    def _draw_order(self, order: OrderRow) -> tuple[Content | str, ...]:
        return order_rows.draw_order(order, self._title(order.sale_id))

    def _draw_hold(self, hold: HoldRow) -> tuple[Content | str, ...]:
        return order_rows.draw_hold(hold, self._title(hold.sale_id), self.picture.at)

    def _title(self, sale: str) -> str:
        return self._titles.get(sale) or sale

    # --- what is shown ---

    def show(self, picture: Picture) -> None:
        self._titles = {each.sale.id: each.sale.title for each in picture.sales}
        focus = picture.focus
        position = 0 if focus is None or focus.frame is None else focus.frame.position
        moment = None if picture.replay is None else picture.replay.position
        search = (picture.selected, self._tab, tuple(self._only.items()), self._query, moment)
        if search != self._search:
            self._search, self._pulling = search, False
            self._paged = Paged()
            self._pull(picture.at, position)
        elif position != self._pulled[0] and picture.at - self._pulled[1] >= AGAIN_MS:
            self._pull(picture.at, position)
        self._show_rows(picture)

    @property
    def _query(self) -> str | None:
        """What the server can look for by itself: a part of an id."""
        plain = self.pattern.text.replace("_", "").isalnum() and not self.pattern.inverse
        return (
            self.pattern.text if plain and self.pattern.text[:4] in {"ord_", "hld_", "usr_", "sal_"} else None
        )

    def _show_rows(self, picture: Picture) -> None:
        shown = {id_: each for id_, each in self._paged.rows.items() if self._matches(each)}
        self.rows.show(shown)
        if self._tab == "holds":
            self.rows.redraw()
        for name in ("order", "hold"):
            self.query_one(f"#{name}-rows").display = self._tab == f"{name}s"
        tabs = [
            Content.styled(f" {tab} ", "bold reverse" if tab == self._tab else DIM)
            for tab in ("orders", "holds")
        ]
        narrowed = [
            Content.assemble((f"{name} ", DIM), (inert(value, 40), INK)) for name, value in self._only.items()
        ]
        state = Content.styled(inert(self._why, 100), BAD) if self._why else None
        head = row([Content(" ").join(tabs), *narrowed, Content.styled(f"{len(shown):,} shown", DIM), state])
        self.query_one("#orders-head", Drawn).show(Content.assemble(" ", head))
        panel = self.query_one("#list")
        panel.border_title = self._tab
        panel.border_subtitle = "n: more" if self._paged.has_more else ""
        self._show_detail(picture)

    def _matches(self, each: OrderRow | HoldRow) -> bool:
        word = each.payment if isinstance(each, OrderRow) else each.status
        return self.pattern.matches(each.id, each.sale_id, self._title(each.sale_id), each.buyer_id, word)

    def _show_detail(self, picture: Picture) -> None:
        each = self.rows.current
        panel, drawn = self.query_one("#detail"), self.query_one("#order-facts", Drawn)
        panel.set_class(each is None, "-empty")
        match each:
            case OrderRow():
                panel.border_title = "order"
                drawn.show(facts(order_rows.order_facts(each, self._title(each.sale_id)), 8))
            case HoldRow():
                panel.border_title = "hold"
                drawn.show(facts(order_rows.hold_facts(each, self._title(each.sale_id), picture.at), 8))
            case _:
                panel.border_title = ""

    def table(self) -> Table:
        """Return the rows that are shown."""
        rows = list(self.rows.rows.values())
        columns = OrderRow.__struct_fields__ if self._tab == "orders" else HoldRow.__struct_fields__
        values = [tuple(_plain(getattr(each, name)) for name in columns) for each in rows]
        return Table(self._tab, columns, values)

    def here(self) -> Want | None:
        """Return the position of what is under the cursor."""
        each = self.rows.current
        return None if each is None else Position(each.position)

    # --- what is asked for ---

    def _pull(self, now: int, position: int, *, first: bool = True) -> None:
        if self._pulling:
            return
        self._pulling, self._pulled = True, (position, now)
        params: dict[str, str | int | None] = {"limit": PAGE, "q": self._query, **self._only}
        if not first:
            params["cursor"] = self._paged.next
        self._ask_page(self._search, self._tab, params, first=first)

    @work(group="page")
    async def _ask_page(
        self, search: object, tab: Tab, params: dict[str, str | int | None], *, first: bool
    ) -> None:
        try:
            page = await self.top.ask(f"/ops/{tab}", params, TYPES[tab])
        except (Refused, Unreachable) as error:
            self.post_message(PageHeard(search, first=first, page=None, why=str(error)))
        else:
            self.post_message(PageHeard(search, first=first, page=page))

    def on_page_heard(self, message: PageHeard) -> None:
        if message.search != self._search:
            return
        self._pulling = False
        self._why = message.why
        page = message.page
        if page is not None and message.first:
            self._paged.refresh(page.items, page.next)
        elif page is not None:
            self._paged.more(page.items, page.next)
        self._show_rows(self.picture)

    def aim(self, at: str) -> None:
        """Show the list that an id is in, and only what has it; or filter by the word."""
        tab = ID_PREFIXES.get(at[:4])
        if tab is not None:
            self._tab = "orders" if tab == "orders" else "holds"
        if at.startswith("sal_"):
            self._only = {"sale": at}
        else:
            self.pattern = Filter.parse(at)
        self.show(self.picture)

    # --- keys ---

    def action_other(self) -> None:
        """Show the other list."""
        self._tab = "holds" if self._tab == "orders" else "orders"
        self.show(self.picture)
        self.rows.focus()

    def action_only(self, name: str) -> None:
        """Show only what has the sale, or the buyer, of the row under the cursor; again, everything."""
        each = self.rows.current
        if self._only.pop(name, None) is None and each is not None:
            self._only[name] = each.sale_id if name == "sale" else each.buyer_id
        self.show(self.picture)

    def action_more(self) -> None:
        """Ask for the next page."""
        if self._paged.has_more:
            self._pull(self._pulled[1], self._pulled[0], first=False)

    def action_sale(self) -> None:
        """Show the sale."""
        each = self.rows.current
        if each is not None:
            self.top.go("sales", each.sale_id)

    def action_log(self) -> None:
        """Show the commit that made it."""
        each = self.rows.current
        if each is not None:
            self.top.go("log", str(each.position))

    def on_keyed_table_moved(self, _: KeyedTable.Moved) -> None:
        self._show_detail(self.picture)

    def on_keyed_table_chosen(self, _: KeyedTable.Chosen) -> None:
        self.add_class("-open")
        each = self.rows.current
        self.trail = () if each is None else (each.id,)
        self.query_one("#detail").focus()

    def back(self) -> bool:
        """Leave what is open, then the narrowing."""
        if self.has_class("-open"):
            self.remove_class("-open")
            self.trail = ()
            self.rows.focus()
            return True
        if self._only:
            self._only = {}
            self.show(self.picture)
            return True
        return False


def _plain(value: Any) -> Any:
    """Return a value as a file has it: amounts in minor units with the currency."""
    return f"{value.amount} {value.currency}" if hasattr(value, "currency") else value
