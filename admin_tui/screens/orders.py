"""Mode orders."""

from admin_tui.screens.base import TopScreen


class OrdersScreen(TopScreen):
    """Mode orders."""

    MODE = "orders"
    TITLE = "Orders"
