"""The modes of the dashboard, in the order of their F-keys."""

from typing import Final

from admin_tui.screens.base import TopScreen
from admin_tui.screens.cell import CellScreen
from admin_tui.screens.chat import ChatScreen
from admin_tui.screens.health import HealthScreen
from admin_tui.screens.help import HelpScreen
from admin_tui.screens.log import LogScreen
from admin_tui.screens.orders import OrdersScreen
from admin_tui.screens.overview import OverviewScreen
from admin_tui.screens.sales import SalesScreen

MODES: Final[dict[str, type[TopScreen]]] = {
    "overview": OverviewScreen,
    "sales": SalesScreen,
    "orders": OrdersScreen,
    "chat": ChatScreen,
    "log": LogScreen,
    "health": HealthScreen,
    "cell": CellScreen,
    "help": HelpScreen,
}
