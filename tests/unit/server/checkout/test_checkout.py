"""Paying for a hold: one order and one captured payment, or neither."""

import asyncio

import pytest

from cells.kernel.errors import Rejected
from cells.log.memory import Fault
from server.checkout.confirm import confirm, order_of, pay
from server.checkout.recovery import run_recovery
from server.flash_sale.model import HoldStatus, Refusal
from server.payments.decide import Repeated
from server.payments.model import Payment
from server.payments.rules import BookingStatus
from tests.unit.server.checkout.till import BUYER, HOLD_SECONDS, PRICE, STRANGER, Till


@pytest.fixture
async def till():
    made = Till()
    await made.open()
    return made


def statuses(till: Till, hold_id: str) -> list[BookingStatus]:
    return [b.status for b in till.bookings(hold_id)]


async def code_of(paying) -> str:
    with pytest.raises(Rejected) as refused:
        await paying
    return refused.value.code


@pytest.mark.parametrize("method", ("pm_ok", "pm_timeout", "pm_slow", "pm_duplicate"))
async def test_a_paid_hold_is_an_order_with_one_captured_payment(till, method):
    hold_id = await till.hold(3)
    order = order_of(await till.pay(hold_id, method))
    position, event = (await till.confirmations())[hold_id]
    assert (order.id, order.position) == (event.order_id, position)
    assert (order.total, order.quantity, order.payment_status) == (PRICE.times(3), 3, "captured")
    assert statuses(till, hold_id) == [BookingStatus.CAPTURED]
    assert till.bookings(hold_id)[0].amount == PRICE.times(3)


async def test_again_is_the_same_order_with_any_key(till):
    hold_id = await till.hold()
    first = await till.pay(hold_id)
    assert not first.replayed
    for key in (b"k1", b"k2", b"k2"):
        again = await till.pay(hold_id, key=key)
        assert again.replayed
        assert order_of(again) == order_of(first)


async def test_concurrent_confirms_get_the_same_order(till):
    hold_id = await till.hold()
    paid = await asyncio.gather(*(till.pay(hold_id, key=b"k%d" % (n // 2)) for n in range(8)))
    assert len({msg.payment.order.id for msg in paid}) == 1
    assert len({str(order_of(p)) for p in paid}) == 1
    assert [p.replayed for p in paid].count(False) == 1
    assert statuses(till, hold_id) == [BookingStatus.CAPTURED]


async def test_a_confirm_that_finds_the_hold_confirmed_meanwhile_gets_its_order(till):
    hold_id = await till.hold()
    ask = till.sales.ask

    async def late(command, *deadline):
        till.sales.ask = ask
        till.first = await till.pay(hold_id)
        return await ask(command, *deadline)

    till.sales.ask = late
    paid = await till.pay(hold_id, key=b"k2")
    assert order_of(paid) == order_of(till.first)


async def test_a_declined_payment_stays_declined_for_its_key_and_may_be_tried_with_another(till):
    hold_id = await till.hold()
    assert await code_of(till.pay(hold_id, "pm_declined", b"k1")) == "payment_declined"
    with pytest.raises(Repeated):
        await till.pay(hold_id, "pm_declined", b"k1")
    paid = await till.pay(hold_id, "pm_ok", b"k2")
    assert not paid.replayed
    assert await code_of(till.pay(hold_id, "pm_declined", b"k1")) == "payment_declined"
    assert statuses(till, hold_id) == [BookingStatus.DECLINED, BookingStatus.CAPTURED]


async def test_who_joined_a_declined_attempt_pays_with_an_own_one(till):
    hold_id = await till.hold()
    outcomes = await asyncio.gather(
        till.pay(hold_id, "pm_declined", b"k1"), till.pay(hold_id, "pm_ok", b"k2"), return_exceptions=True
    )
    refused, paid = outcomes
    assert isinstance(refused, Rejected)
    assert refused.code == "payment_declined"
    assert not isinstance(paid, BaseException)
    assert statuses(till, hold_id) == [BookingStatus.DECLINED, BookingStatus.CAPTURED]


async def test_a_key_with_another_method_is_refused(till):
    hold_id = await till.hold()
    await till.pay(hold_id, "pm_ok", b"k1")
    assert await code_of(till.pay(hold_id, "pm_slow", b"k1")) == "key_reused"


async def test_nobody_else_and_nothing_else_is_found(till):
    hold_id = await till.hold()
    assert await code_of(till.pay(hold_id, buyer=STRANGER)) == "not_found"
    await till.pay(hold_id)
    assert await code_of(till.pay(hold_id, buyer=STRANGER)) == "not_found"
    unknown = hold_id[:-1] + ("0" if hold_id[-1] != "0" else "1")
    assert await code_of(till.pay(unknown)) == "not_found"
    assert await code_of(confirm(till.checkout(), "hld_nonsense", BUYER, "pm_ok", "k")) == "not_found"


async def test_an_unknown_method_is_refused_before_anything_happens(till):
    hold_id = await till.hold()
    assert await code_of(confirm(till.checkout(), hold_id, BUYER, "pm_gold", "k")) == "bad_request"
    assert await till.log.subjects("log.*.pay.*") == {}


async def test_a_hold_that_ended_is_not_paid_for(till):
    expired, released = await till.hold(), await till.hold()
    await till.release(released)
    till.clock.advance(HOLD_SECONDS * 1000)
    assert await code_of(till.pay(expired)) == "hold_expired"
    assert await code_of(till.pay(released)) == "hold_released"
    assert await till.log.subjects("log.*.pay.*") == {}


async def test_a_hold_that_ends_while_it_is_paid_for_costs_nothing(till):
    hold_id = await till.hold()
    authorise = till.provider.authorise

    async def slow(reference, amount, method):
        till.clock.advance(HOLD_SECONDS * 1000)
        return await authorise(reference, amount, method)

    till.provider.authorise = slow
    for _ in range(2):
        assert await code_of(till.pay(hold_id)) == "hold_expired"
    assert statuses(till, hold_id) == [BookingStatus.VOIDED]


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("nth", range(6))
async def test_a_fault_of_the_log_is_overcome_or_refused_without_effect(till, fault, nth):
    hold_id = await till.hold()
    till.log.faults.extend([None] * nth + [fault])
    if (nth, fault) == (0, Fault.REFUSED):
        assert await code_of(till.pay(hold_id)) == "unavailable"
        assert till.bookings(hold_id) == []
    await till.pay(hold_id)
    assert statuses(till, hold_id) == [BookingStatus.CAPTURED]


async def test_out_of_time_is_unknown_once_something_was_begun(till):
    hold_id = await till.hold()

    async def never(*_):
        await asyncio.Event().wait()

    till.provider.authorise = never
    assert await code_of(confirm(till.checkout(), hold_id, BUYER, "pm_ok", "k", 0.05)) == "outcome_unknown"
    untouched = await till.hold()
    till.sales.ask = never
    assert await code_of(confirm(till.checkout(), hold_id, BUYER, "pm_ok", "k", 0.05)) == "outcome_unknown"
    assert await code_of(confirm(till.checkout(), untouched, BUYER, "pm_ok", "k", 0.05)) == "unavailable"


async def test_a_writer_that_is_away_leaves_open_what_was_begun_and_nothing_else(till):
    paid, declined, untouched = await till.hold(), await till.hold(), await till.hold()
    await till.pay(paid)
    assert await code_of(till.pay(declined, "pm_declined")) == "payment_declined"

    async def away(*_):
        return Refusal("unavailable")

    till.sales.ask = away
    assert await code_of(till.pay(paid)) == "outcome_unknown"
    assert await code_of(till.pay(declined, "pm_declined")) == "payment_declined"
    assert await code_of(till.pay(declined, key=b"k2")) == "unavailable"
    assert await code_of(till.pay(untouched)) == "unavailable"


# --- recovery ------------------------------------------------------------------------------------------------------


async def abandoned(till: Till, hold_id: str, *, after: str) -> None:
    """Let an api die behind a call of the provider or the sale."""
    reached = asyncio.Event()

    class Provider:
        def __getattr__(self, name):
            async def call(*arguments):
                answer = await getattr(till.provider, name)(*arguments)
                if name == after:
                    reached.set()
                    await asyncio.Event().wait()
                return answer

            return call

    paying = asyncio.create_task(
        pay(till.checkout(provider=Provider()), hold_id, BUYER, "pm_ok", b"k1", lambda: None)
    )
    await reached.wait()
    paying.cancel()
    await asyncio.gather(paying, return_exceptions=True)


@pytest.mark.parametrize("after", ("authorise", "capture"))
async def test_recovery_finishes_what_the_buyer_asked_for(till, after):
    hold_id = await till.hold()
    await abandoned(till, hold_id, after=after)
    await till.recover()
    assert statuses(till, hold_id) == [BookingStatus.CAPTURED]
    assert (await till.pay(hold_id)).payment.order.position == (await till.confirmations())[hold_id][0]


async def test_recovery_voids_what_can_no_longer_become_an_order(till):
    hold_id = await till.hold()
    await abandoned(till, hold_id, after="authorise")
    till.clock.advance(HOLD_SECONDS * 1000)
    await till.recover()
    assert statuses(till, hold_id) == [BookingStatus.VOIDED]
    assert (await till.found(hold_id)).status is HoldStatus.EXPIRED
    assert await code_of(till.pay(hold_id)) == "hold_expired"


async def test_recovery_tombstones_an_attempt_that_never_reached_the_provider(till):
    hold_id = await till.hold()
    till.provider.faults.extend(["lost"] * 1000)
    assert await code_of(confirm(till.checkout(), hold_id, BUYER, "pm_ok", "k", 0.02)) == "outcome_unknown"
    till.provider.faults.clear()
    await till.release(hold_id)
    await till.recover()
    assert statuses(till, hold_id) == [BookingStatus.VOIDED]
    assert isinstance(payment := await till.checkout().payment(hold_id), Payment)
    assert not payment.is_open


async def test_recovery_leaves_a_payment_to_its_api_for_a_while(till):
    hold_id = await till.hold()
    await abandoned(till, hold_id, after="authorise")
    recovery = await till.recovery()
    assert recovery.due(till.clock.now()) == []
    assert recovery.due(till.clock.advance(5_000)) == [hold_id]


async def test_a_payment_that_cannot_be_finished_is_tried_later(till):
    hold_id = await till.hold()
    await abandoned(till, hold_id, after="authorise")
    recovery = await till.recovery()
    till.clock.advance(5_000)

    async def refused(*_):
        raise Rejected("unavailable", "no writer")

    till.sales.ask = refused
    await recovery.sweep()
    assert recovery.due(till.clock.now()) == []
    assert recovery.due(till.clock.advance(60_000)) == [hold_id]


async def test_recovery_follows_the_log_and_forgets_what_is_settled(till):
    settled, hold_id = await till.hold(), await till.hold()
    await till.pay(settled)
    await abandoned(till, hold_id, after="authorise")
    till.clock.advance(6_000)
    stopping = asyncio.Event()
    running = asyncio.create_task(run_recovery(till.log, till.sales, till.provider, till.clock, stopping))
    async with asyncio.timeout(10):
        async for batch in till.log.tail("log.*.pay.*", 0):
            recovery = await till.recovery()
            if batch and not recovery.unfinished:
                break
    assert statuses(till, hold_id) == [BookingStatus.CAPTURED]
    stopping.set()
    await asyncio.wait_for(running, 5)
