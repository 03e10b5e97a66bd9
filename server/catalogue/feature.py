"""The catalogue, assembled."""

from server.catalogue.http import Products, handlers
from server.store.waiting import Projected
from server.web.feature import Feature, Parts


def assemble(parts: Parts, projected: Projected) -> Feature:
    """Offer the products of this cell's merchants."""
    return Feature("catalogue", routes=handlers(parts, Products(parts), projected))
