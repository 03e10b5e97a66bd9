"""The panel of one sale."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content

from admin_tui.forecast import demand
from admin_tui.picture import CellSale, Picture
from admin_tui.text import inert
from admin_tui.widgets import figures, sale_detail
from admin_tui.widgets.drawn import Drawn, entitle, facts
from admin_tui.widgets.spark import Spark
from admin_tui.widgets.stockbar import StockBar

LABELS = 9


class SalePanel(VerticalScroll, can_focus=True):
    """Everything about a sale, from what matters during it to what is only looked up."""

    def compose(self) -> ComposeResult:
        yield Drawn(id="sale-head")
        yield StockBar(id="sale-stock")
        yield Spark("demand, units/s", id="sale-demand")
        yield Drawn(id="sale-outlook", classes="block")
        for name, title in (("checks", "checks"), ("numbers", "facts"), ("flight", "done from here")):
            yield self._block(name, title)
        yield self._block("trail", "decisions")

    def _block(self, name: str, title: str) -> Drawn:
        block = Drawn(id=f"sale-{name}", classes="block -titled")
        block.border_title = title
        return block

    def show(self, each: CellSale | None, picture: Picture) -> None:
        """Show a sale; None for none."""
        self.set_class(each is None, "-empty")
        if each is None:
            entitle(self, "no sale")
            return
        sale = each.sale
        entitle(self, inert(sale.title or sale.id, 60))
        self.query_one(StockBar).show(
            sold=sale.sold, held=sale.held, available=sale.available, stock=sale.stock
        )
        self.query_one(Spark).show([float(units) for units in sale.taken], figures.rate(demand(sale.taken)))
        self._draw("head", sale_detail.headline(sale, picture.at))
        self._draw("outlook", facts(sale_detail.outlook(sale, picture.at), LABELS))
        self._draw("checks", facts(sale_detail.checks(sale, picture.cell(each.cell)), LABELS))
        self._draw("numbers", facts(sale_detail.numbers(sale, each.cell), LABELS))
        self._draw("flight", sale_detail.in_flight(picture.actions, sale.id))

    def show_trail(self, trail: Content) -> None:
        """Show the decisions."""
        self._draw("trail", trail)

    def _draw(self, name: str, content: Content) -> None:
        self.query_one(f"#sale-{name}", Drawn).show(content)
