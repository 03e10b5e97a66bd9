"""Mode sales."""

from admin_tui.screens.base import TopScreen


class SalesScreen(TopScreen):
    """Mode sales."""

    MODE = "sales"
    TITLE = "Sales"
