"""The one Piccolo app: all tables of all features and their migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from server.catalogue.tables import ProductRow
from server.flash_sale.tables import HoldRow, SaleRow
from server.orders.tables import OrderRow, PaymentRow
from server.store.tables import Checkpoint

APP_CONFIG = AppConfig(
    app_name="titan",
    migrations_folder_path=Path(__file__).parent / "migrations",
    table_classes=[Checkpoint, ProductRow, SaleRow, HoldRow, OrderRow, PaymentRow],
)
