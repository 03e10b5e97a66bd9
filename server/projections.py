"""All read models of the shop, in the order in which a batch is applied to them."""

from server.catalogue.read import ProductsProjection
from server.feed.projection import FeedProjection
from server.flash_sale.read import SalesProjection
from server.orders.read import OrdersProjection
from server.store.projection import Projection


def projections() -> tuple[Projection, ...]:
    """Make them. Orders and feed stand behind sales: they take from `sales` and `holds` what events are about."""
    return (ProductsProjection(), SalesProjection(), OrdersProjection(), FeedProjection())
