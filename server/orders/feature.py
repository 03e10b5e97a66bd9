"""Assembles the orders feature."""

from server.orders.http import handlers
from server.store.waiting import Projected
from server.web.feature import Feature, Parts


def assemble(parts: Parts, projected: Projected) -> Feature:
    """Offer the orders that this cell's projections hold."""
    return Feature("orders", routes=handlers(projected, parts.log))
