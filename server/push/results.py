"""Pushes of what became of a person's payments."""

from collections import OrderedDict
from typing import Literal

import msgspec

from cells.engine.handle import load
from cells.engine.project import Recorded
from cells.kernel.ids import slot_in
from cells.kernel.money import Money
from cells.log.port import Log
from server.payments.decide import PAYMENT
from server.payments.model import (
    EVENTS,
    KIND,
    CheckoutSettled,
    NoPayment,
    PaymentDeclined,
    PaymentStarted,
    PaymentVoided,
)
from server.push.notices import Notice, OrderNotice, PaymentNotice
from server.push.planned import Planned, Plans, Wanted

KNOWN_PAYMENTS = 50_000


class Payer(msgspec.Struct, frozen=True):
    """What never changes of a payment."""

    buyer_id: str
    sale_id: str
    amount: Money


class ResultSource:
    """Plans a push for each order, and for each payment that came to nothing. What is decided stays decided."""

    kind = KIND
    registry = EVENTS

    def __init__(self, log: Log) -> None:
        self._log = log
        self._payers: OrderedDict[str, Payer] = OrderedDict()

    async def take(self, commit: Recorded, plans: Plans, wanted: Wanted) -> None:
        """Plan a push at once."""
        for index, event in enumerate(commit.events):
            match event:
                case PaymentStarted():
                    self._know(commit.key, Payer(event.buyer_id, event.sale_id, event.amount))
                case CheckoutSettled() | PaymentDeclined() | PaymentVoided():
                    payer = await self._of(commit.key)
                    if wanted(payer.buyer_id):
                        key = (commit.position, index)
                        what = _notice(commit.key, payer, event)
                        plans.add(Planned(key, payer.buyer_id, event.at, event.at, [commit.position], what))
                case _:
                    pass

    async def decide(self, planned: Planned) -> Notice | None:
        """Push it."""
        notice: Notice = planned.what
        return notice

    async def _of(self, hold_id: str) -> Payer:
        known = self._payers.get(hold_id)
        if known is None:
            payment = (await load(self._log, PAYMENT, slot_in(hold_id), hold_id)).state
            if isinstance(payment, NoPayment):
                raise KeyError(hold_id)
            known = Payer(payment.buyer_id, payment.sale_id, payment.amount)
            self._know(hold_id, known)
        return known

    def _know(self, hold_id: str, payer: Payer) -> None:
        self._payers[hold_id] = payer
        if len(self._payers) > KNOWN_PAYMENTS:
            self._payers.popitem(last=False)


def _notice(hold_id: str, payer: Payer, event: CheckoutSettled | PaymentDeclined | PaymentVoided) -> Notice:
    if isinstance(event, CheckoutSettled):
        return OrderNotice(event.order_id, hold_id, payer.sale_id, payer.amount)
    status: Literal["declined", "voided"] = "declined" if isinstance(event, PaymentDeclined) else "voided"
    return PaymentNotice(hold_id, payer.sale_id, status, event.reason, payer.amount)
