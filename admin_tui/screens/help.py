"""Mode help."""

from admin_tui.screens.base import TopScreen


class HelpScreen(TopScreen):
    """Mode help."""

    MODE = "help"
    TITLE = "Help"
