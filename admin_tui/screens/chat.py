"""Mode chat."""

from admin_tui.screens.base import TopScreen


class ChatScreen(TopScreen):
    """Mode chat."""

    MODE = "chat"
    TITLE = "Chat"
