"""Every kind of aggregate in the log with its events. Tools that read the whole log find it by name."""

from collections.abc import Mapping

from cells.engine import leadership
from cells.kernel.codec import Registry
from server.accounts import decide as accounts
from server.accounts import operators
from server.catalogue import decide as catalogue
from server.chat import model as chat
from server.flash_sale import model as flash_sale
from server.notify import cursor
from server.payments import decide as payments
from server.payments import rules as sandbox
from server.push import decide as push
from server.web import idempotency
from server.webhooks import decide as webhooks
from server.webhooks import letters


def registries() -> Mapping[str, Registry]:
    """Return the events of each kind."""
    deciders = (
        leadership.TERMS,
        accounts.DECIDER,
        operators.DECIDER,
        catalogue.DECIDER,
        payments.PAYMENT,
        sandbox.BOOK,
        idempotency.DECIDER,
        webhooks.DECIDER,
        letters.DECIDER,
        push.DECIDER,
    )
    hot = {flash_sale.KIND: flash_sale.EVENTS, chat.ROOM: chat.EVENTS, chat.CONVERSATION: chat.EVENTS}
    return {**hot, cursor.KIND: cursor.REGISTRY, **{d.kind: d.registry for d in deciders}}
