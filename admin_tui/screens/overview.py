"""Mode overview."""

from admin_tui.screens.base import TopScreen


class OverviewScreen(TopScreen):
    """Mode overview."""

    MODE = "overview"
    TITLE = "Overview"
