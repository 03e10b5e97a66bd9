"""Webhooks, assembled. Deliveries are made by the projector process."""

from server.web.feature import Feature, Parts
from server.webhooks.desk import Webhooks
from server.webhooks.http import handlers
from server.webhooks.signing import Secrets


def assemble(parts: Parts) -> Feature:
    """Offer merchants to be told what happens. Raises `Trouble` when the cell's key cannot be read."""
    config = parts.config
    desk = Webhooks(
        parts.log, parts.clock, Secrets.of_cell(config.data), allow_loopback=config.webhooks_allow_loopback
    )
    return Feature("webhooks", routes=handlers(parts, desk))
