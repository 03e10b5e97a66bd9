"""What a batch of commits comes to in orders and payments."""

from collections.abc import Sequence
from typing import Any

import msgspec

from cells.engine.project import Recorded
from server.flash_sale.model import HoldConfirmed
from server.payments.model import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentStarted,
    PaymentVoided,
)

STATUS: dict[type[Any], str] = {
    PaymentStarted: "started",
    PaymentAuthorised: "authorised",
    PaymentDeclined: "declined",
    PaymentCaptured: "captured",
    PaymentVoided: "voided",
}


class Placed(msgspec.Struct, frozen=True):
    """A hold that became an order. What was bought is known from the hold and its sale."""

    order_id: str
    hold_id: str
    payment_id: str
    at: int
    position: int


class Changes(msgspec.Struct):
    """The outcome of a batch. `payments` has the last status of each hold's payment and its position."""

    placed: list[Placed] = []
    payments: dict[str, tuple[str, int]] = {}


def fold(batch: Sequence[Recorded]) -> Changes:
    """Fold commits of sales and payments, in the order of the log."""
    changes = Changes()
    for commit in batch:
        for event in commit.events:
            if type(event) is HoldConfirmed:
                placed = Placed(event.order_id, event.hold_id, event.payment_id, event.at, commit.position)
                changes.placed.append(placed)
            elif type(event) in STATUS:
                changes.payments[commit.key] = (STATUS[type(event)], commit.position)
    return changes
