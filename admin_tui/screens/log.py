"""Mode log."""

from admin_tui.screens.base import TopScreen


class LogScreen(TopScreen):
    """Mode log."""

    MODE = "log"
    TITLE = "Log"
