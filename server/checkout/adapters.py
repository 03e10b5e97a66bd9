"""Runs the saga's steps against the log, the sales' writer and the payment provider."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Literal, assert_never

import structlog

from cells import failpoints
from cells.engine.handle import Handled, handle, load
from cells.kernel import envelope, ids
from cells.kernel.chance import fresh
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.log import subjects
from cells.log.port import Log, LogUnavailable
from server.checkout.saga import STEPS, Step, fate, why_lost
from server.flash_sale import model as flash_sale
from server.flash_sale.model import ConfirmHold, FindHold, HoldConfirmed, HoldFound
from server.flash_sale.ports import Sales, hold_of
from server.payments.decide import PAYMENT
from server.payments.model import (
    KIND,
    Command,
    NoPayment,
    Payment,
    PaymentStarted,
    PlacedOrder,
    RecordAuthorised,
    RecordCaptured,
    RecordDeclined,
    RecordVoided,
    StartPayment,
    State,
)
from server.payments.ports import (
    Authorised,
    Captured,
    Declined,
    NotBooked,
    PaymentProvider,
    Standing,
    TimedOut,
    Voided,
)

_log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0

Origin = Literal["checkout", "recovery"]
Pause = Callable[[float], Awaitable[None]]

_POINTS: dict[Origin, dict[str, failpoints.Name]] = {
    "checkout": {
        "booked": "checkout.booked",
        "authorised": "checkout.authorised",
        "confirmed": "checkout.confirmed",
        "charged": "checkout.charged",
        "captured": "checkout.captured",
    },
    "recovery": {
        "booked": "recovery.booked",
        "authorised": "recovery.authorised",
        "confirmed": "recovery.confirmed",
        "charged": "recovery.charged",
        "captured": "recovery.captured",
    },
}


class Checkout:
    """Brings payments to their end. Any number of these, in any processes, may work on one payment at once."""

    def __init__(
        self,
        log: Log,
        sales: Sales,
        provider: PaymentProvider,
        clock: Clock,
        *,
        origin: Origin,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._cell_log = log
        self._sales = sales
        self._provider = provider
        self._clock = clock
        self._points = _POINTS[origin]
        self._pause = pause

    async def payment(self, hold_id: str) -> State:
        """Read a hold's payment. Raises `Rejected` (unavailable)."""
        try:
            return (await load(self._cell_log, PAYMENT, ids.slot_in(hold_id), hold_id)).state
        except LogUnavailable as error:
            raise Rejected("unavailable", str(error), retry_after_ms=1000) from error

    async def start(self, hold: HoldFound, method: str, key: bytes) -> tuple[Payment, bool]:
        """Begin an attempt, or join the one that is open; tells whether it began one. Raises `Rejected`."""
        command = StartPayment(
            fresh("pay", ids.slot_in(hold.hold_id), self._clock),
            hold.hold_id,
            hold.sale_id,
            hold.buyer_id,
            hold.merchant_id,
            hold.price.times(len(hold.units)),
            method,
            key,
        )
        handled = await self._handle(hold.hold_id, command)
        began = any(isinstance(event, PaymentStarted) for event in handled.events)
        if began:
            failpoints.hit("checkout.started")
        return _existing(handled.state), began

    async def find(self, sale_id: str, hold_id: str, buyer_id: str) -> HoldFound:
        """Ask the sale where a hold stands; an empty `sale_id` lets the writer look for it. Raises `Rejected`."""
        return await hold_of(self._sales, FindHold(sale_id, hold_id, buyer_id))

    async def finish(self, payment: Payment, hold: HoldFound | None) -> tuple[Payment, HoldFound | None]:
        """Take the saga's steps until the payment is closed, pausing after each that failed.

        `hold` is what the sale has last said of it. Returns both as they then stand. Never gives up by itself.
        """
        failed = 0
        while payment.is_open:
            try:
                if failed:
                    payment, hold = await self.look(payment)
                payment, hold = await self._step(payment, hold)
                failed = 0
            except Rejected as rejected:
                failed += 1
                _log.debug("checkout step", hold=payment.hold_id, code=rejected.code, reason=rejected.detail)
                longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failed, 10))
                await self._pause(random.uniform(FIRST_PAUSE, longest))  # noqa: S311 - jitter
        return payment, hold

    async def look(self, payment: Payment) -> tuple[Payment, HoldFound | None]:
        """Ask anew where payment and hold stand. Raises `Rejected`."""
        payment = _existing(await self.payment(payment.hold_id))
        try:
            return payment, await self.find(payment.sale_id, payment.hold_id, payment.buyer_id)
        except Rejected as rejected:
            if rejected.code == "not_found":
                return payment, None
            raise

    # --- steps ---------------------------------------------------------------------------------------------

    async def _step(self, payment: Payment, hold: HoldFound | None) -> tuple[Payment, HoldFound | None]:
        match STEPS[payment.latest.status, fate(payment.id, hold)]:
            case Step.AUTHORISE:
                return await self._authorise(payment), hold
            case Step.CONFIRM:
                return await self._confirm(payment)
            case Step.CAPTURE:
                return await self._capture(payment, hold, await self._position(payment)), hold
            case Step.VOID:
                return await self._void(payment, hold), hold
            case Step.DONE:
                return payment, hold
            case step:
                assert_never(step)

    async def _authorise(self, payment: Payment) -> Payment:
        reference, attempt = payment.reference(), payment.latest
        answers = await self._provider.authorise(reference, payment.amount, attempt.method)
        if isinstance(answers[-1], TimedOut):
            answers = (await self._provider.find(reference),)
        failpoints.hit(self._points["booked"])
        for answer in answers:
            payment = await self._record_answer(payment, attempt.number, reference, answer)
        failpoints.hit(self._points["authorised"])
        return payment

    async def _record_answer(
        self, payment: Payment, attempt: int, reference: str, answer: Standing
    ) -> Payment:
        match answer:
            case Authorised() | Captured():
                return await self._record(payment, RecordAuthorised(attempt, reference))
            case Declined(reason):
                return await self._record(payment, RecordDeclined(attempt, reason))
            case Voided():
                raise Rejected("conflict", "the attempt is being voided, because its hold ended")
            case NotBooked() | TimedOut():
                raise Rejected("outcome_unknown", "the provider did not answer")
            case _:
                assert_never(answer)

    async def _confirm(self, payment: Payment) -> tuple[Payment, HoldFound]:
        order_id = fresh("ord", ids.slot_in(payment.hold_id), self._clock)
        command = ConfirmHold(payment.sale_id, payment.hold_id, payment.buyer_id, order_id, payment.id)
        hold = await hold_of(self._sales, command)
        failpoints.hit(self._points["confirmed"])
        if hold.replayed:
            return payment, hold
        return await self._capture(payment, hold, hold.position), hold

    async def _capture(self, payment: Payment, hold: HoldFound | None, position: int) -> Payment:
        standing = await self._provider.capture(payment.reference())
        if not isinstance(standing, Captured) or hold is None:
            raise _unexpected("capture", payment, standing)
        failpoints.hit(self._points["charged"])
        order = PlacedOrder(hold.order_id, hold.settled_at, position)
        payment = await self._record(payment, RecordCaptured(payment.latest.number, order))
        failpoints.hit(self._points["captured"])
        return payment

    async def _void(self, payment: Payment, hold: HoldFound | None) -> Payment:
        standing = await self._provider.void(payment.reference())
        if not isinstance(standing, Voided | Declined):
            raise _unexpected("void", payment, standing)
        return await self._record(payment, RecordVoided(payment.latest.number, why_lost(hold)))

    async def _position(self, payment: Payment) -> int:
        """Find the commit that confirmed the hold, when its own answer was lost: the sale only says that it is."""
        slot = ids.slot_in(payment.hold_id)
        begin = await self._begin(slot, payment.hold_id)
        try:
            async for batch in self._cell_log.read(
                subjects.subject(slot, flash_sale.KIND, payment.sale_id), begin
            ):
                for stored in batch:
                    for event in envelope.decode(flash_sale.EVENTS, stored.body).events:
                        if isinstance(event, HoldConfirmed) and event.hold_id == payment.hold_id:
                            return stored.position
        except LogUnavailable as error:
            raise Rejected("unavailable", str(error)) from error
        raise Rejected("unavailable", "the commit that confirmed the hold was not found yet")

    async def _begin(self, slot: int, hold_id: str) -> int:
        try:
            async for batch in self._cell_log.read(subjects.subject(slot, KIND, hold_id)):
                return batch[0].position
        except LogUnavailable as error:
            raise Rejected("unavailable", str(error)) from error
        return 0

    async def _record(self, payment: Payment, command: Command) -> Payment:
        return _existing((await self._handle(payment.hold_id, command)).state)

    async def _handle(self, hold_id: str, command: Command) -> Handled[State]:
        return await handle(self._cell_log, PAYMENT, ids.slot_in(hold_id), hold_id, command, self._clock)


def _existing(state: State) -> Payment:
    if isinstance(state, NoPayment):
        raise TypeError("the payment was started, but the log has none")
    return state


def _unexpected(call: str, payment: Payment, standing: Standing) -> Rejected:
    if not isinstance(standing, TimedOut):
        _log.error("provider contradicts the log", call=call, payment=payment.id, standing=repr(standing))
    return Rejected("outcome_unknown", f"the provider answered {call} with {type(standing).__name__}")
