"""Push, assembled. Pushes are made by the projector process."""

from server.push.desk import Subscriptions
from server.push.http import handlers
from server.push.vapid import Vapid
from server.web.feature import Feature, Parts


def assemble(parts: Parts) -> Feature:
    """Offer people to be pushed what they miss. Raises `Trouble` when the cell's key cannot be read."""
    config = parts.config
    vapid = Vapid.of_cell(config.data, config.push_contact, config.public_api)
    desk = Subscriptions(parts.log, parts.clock, allow_loopback=config.webhooks_allow_loopback)
    return Feature("push", routes=handlers(parts, desk, vapid))
