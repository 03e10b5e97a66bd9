"""Orders and holds, the newest first, and everything about the one under the cursor."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from admin_tui.screens.base import TopScreen
from admin_tui.widgets import order_rows
from admin_tui.widgets.keyed_table import KeyedTable
from admin_tui.wire import OrderRow


class OrdersScreen(TopScreen):
    """A list, and beside it what is known of the row under the cursor; in a narrow terminal one or the other."""

    MODE = "orders"
    TITLE = "orders"

    def body(self) -> ComposeResult:
        with Horizontal(id="orders-body"), Vertical(id="list", classes="panel") as panel:
            panel.border_title = "orders"
            yield KeyedTable[OrderRow](
                order_rows.ORDER_COLUMNS, order_rows.draw_order, empty="no orders", id="rows"
            )
