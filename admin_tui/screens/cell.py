"""Mode cell."""

from admin_tui.screens.base import TopScreen


class CellScreen(TopScreen):
    """Mode cell."""

    MODE = "cell"
    TITLE = "Cell"
