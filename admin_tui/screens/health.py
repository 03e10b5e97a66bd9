"""Mode health."""

from admin_tui.screens.base import TopScreen


class HealthScreen(TopScreen):
    """Mode health."""

    MODE = "health"
    TITLE = "Health"
