"""All read models of the shop, in the order in which a batch is applied to them."""

from server.catalogue.read import ProductsProjection
from server.flash_sale.read import SalesProjection
from server.orders.read import OrdersProjection
from server.store.projection import Projection


def projections() -> tuple[Projection, ...]:
    """Make them. Orders stand behind sales, because they take from `sales` and `holds` what was bought."""
    return (ProductsProjection(), SalesProjection(), OrdersProjection())
