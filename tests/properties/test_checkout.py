"""Checkouts that crash, race, repeat and time out in any order: an order with one captured payment, or neither."""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cells.kernel.errors import Rejected
from cells.log.memory import Fault
from server.checkout.adapters import Checkout
from server.checkout.confirm import Paid, order_of, pay
from server.checkout.recovery import Recovery
from server.flash_sale.model import GetSale, HoldStatus
from server.payments.model import AttemptStatus, Payment
from server.payments.rules import METHODS, BookingStatus
from tests.unit.server.checkout.till import BUYER, PRICE, SALE, Till

HOLDS = 2
KEYS = (b"k1", b"k2", b"k3")
TURNS = 100_000
INDEFINITE = {"outcome_unknown", "unavailable", "overloaded", "fenced"}


class Actor:
    """A process in the middle of something. It moves from gate to gate, when told to."""

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self.gate: asyncio.Future[None] | None = None
        self.task = asyncio.create_task(self._run(work))

    async def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        _acting.set(self)
        return await work

    async def settle(self) -> None:
        """Let it run until it stands at a gate or is done."""
        for _ in range(TURNS):
            if self.gate is not None or self.task.done():
                return
            await asyncio.sleep(0)
        raise AssertionError("it neither ends nor comes to a gate")

    async def step(self) -> None:
        """Open the gate it stands at."""
        gate, self.gate = self.gate, None
        if gate is not None:
            gate.set_result(None)
        await self.settle()

    async def crash(self) -> None:
        """Let it die where it stands."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


_acting: ContextVar[Actor | None] = ContextVar("_acting", default=None)


async def gate(_: float = 0) -> None:
    """Stop here, if this is an actor."""
    actor = _acting.get()
    if actor is None:
        await asyncio.sleep(0)
        return
    actor.gate = asyncio.get_running_loop().create_future()
    await actor.gate


class Gated:
    """A port with a gate before and behind every call, so that a crash can fall on either side of its effect."""

    def __init__(self, port: Any, *calls: str) -> None:
        self._port = port
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        called = getattr(self._port, name)
        if name not in self._calls:
            return called

        async def call(*arguments: Any) -> Any:
            await gate()
            answer = await called(*arguments)
            await gate()
            return answer

        return call


class Ask(msgspec.Struct, frozen=True):
    """What a buyer sent."""

    hold_id: str
    key: bytes
    method: str


class CheckoutMachine(RuleBasedStateMachine):
    """Actors are apis that confirm and recoveries that finish; between their steps anything may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.till = Till()
        self.holds: list[str] = []
        self.apis: list[tuple[Ask, Actor]] = []
        self.recoveries: list[Actor] = []
        self.answers: dict[Ask, set[str]] = {}
        self.orders: dict[str, set[str]] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def gated(self, origin: Any) -> Checkout:
        return self.till.checkout(
            origin,
            log=Gated(self.till.log, "append"),
            sales=Gated(self.till.sales, "ask"),
            provider=Gated(self.till.provider, "authorise", "capture", "void"),
            pause=gate,
        )

    @initialize(quantities=st.lists(st.integers(1, 3), min_size=HOLDS, max_size=HOLDS))
    def open(self, quantities: list[int]) -> None:
        async def work() -> None:
            await self.till.open()
            self.holds = [await self.till.hold(q) for q in quantities]

        self.run(work())

    # --- what processes do ---------------------------------------------------------------------------------

    @precondition(lambda self: len(self.apis) < 4)
    @rule(hold=st.integers(0, HOLDS - 1), key=st.sampled_from(KEYS), method=st.sampled_from(METHODS))
    def confirm(self, hold: int, key: bytes, method: str) -> None:
        ask = Ask(self.holds[hold], key, method)
        paying = pay(self.gated("checkout"), ask.hold_id, BUYER, ask.method, ask.key, lambda: None)
        self.apis.append((ask, self.run(self._begin(paying))))

    @precondition(lambda self: len(self.recoveries) < 2)
    @rule(hold=st.integers(0, HOLDS - 1))
    def recover(self, hold: int) -> None:
        finishing = Recovery(self.till.log, self.gated("recovery"), self.till.clock).finish(self.holds[hold])
        self.recoveries.append(self.run(self._begin(finishing)))

    @precondition(lambda self: self.apis)
    @rule(which=st.integers(0, 3), steps=st.integers(1, 12))
    def step_api(self, which: int, steps: int) -> None:
        ask, actor = self.apis[which % len(self.apis)]
        for _ in range(steps):
            self.run(actor.step())
        if actor.task.done():
            self.apis.remove((ask, actor))
            self._note(ask, actor)

    @precondition(lambda self: self.recoveries)
    @rule(which=st.integers(0, 1), steps=st.integers(1, 12))
    def step_recovery(self, which: int, steps: int) -> None:
        actor = self.recoveries[which % len(self.recoveries)]
        for _ in range(steps):
            self.run(actor.step())
        if actor.task.done():
            self.recoveries.remove(actor)
            actor.task.result()

    @precondition(lambda self: self.apis)
    @rule(which=st.integers(0, 3))
    def crash_api(self, which: int) -> None:
        _, actor = self.apis.pop(which % len(self.apis))
        self.run(actor.crash())

    @precondition(lambda self: self.recoveries)
    @rule(which=st.integers(0, 1))
    def crash_recovery(self, which: int) -> None:
        self.run(self.recoveries.pop(which % len(self.recoveries)).crash())

    # --- what the world does -------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0, 1, 1, 1, 1, 1, 2, 40]))
    def time_passes(self, seconds: int) -> None:
        self.till.clock.advance(seconds * 1000)
        self.run(self.till.sales.ask(GetSale(SALE)))

    @rule(hold=st.integers(0, HOLDS - 1), seldom=st.integers(0, 9))
    def release(self, hold: int, seldom: int) -> None:
        if seldom == 5:
            self.run(self.till.release(self.holds[hold]))

    @rule()
    def another_writer(self) -> None:
        self.till.sales.replace_writer()

    @rule(fault=st.sampled_from(Fault))
    def log_fails(self, fault: Fault) -> None:
        self.till.log.faults.append(fault)

    @rule(fault=st.sampled_from(["lost", "unanswered"]))
    def provider_fails(self, fault: str) -> None:
        self.till.provider.faults.append(fault)

    # --- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def money_is_taken_only_for_orders(self) -> None:
        confirmed = self.run(self.till.confirmations())
        for hold_id in self.holds:
            statuses = [b.status for b in self.till.bookings(hold_id)]
            assert statuses.count(BookingStatus.CAPTURED) <= 1
            if BookingStatus.CAPTURED in statuses:
                assert hold_id in confirmed
            if hold_id in confirmed:
                # Kept since before the order, and never given back.
                assert {BookingStatus.AUTHORISED, BookingStatus.CAPTURED} & set(statuses)

    @invariant()
    def a_key_has_one_answer(self) -> None:
        for ask, answers in self.answers.items():
            assert len(answers) <= 1, (ask, answers)
        for orders in self.orders.values():
            assert len(orders) == 1

    def teardown(self) -> None:
        try:
            if self.holds:
                self.run(self._come_to_rest())
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    async def _come_to_rest(self) -> None:
        """Let recovery finish everything, then wake those who slept through it, and look."""
        self.till.log.faults.clear()
        self.till.provider.faults.clear()
        await self.till.recover()
        for actor in (*self.recoveries, *(a for _, a in self.apis)):
            while not actor.task.done():
                await actor.step()
        for ask, actor in self.apis:
            self._note(ask, actor)
        await self.till.recover()
        self.a_key_has_one_answer_now()
        confirmed = await self.till.confirmations()
        for hold_id in self.holds:
            await self._check(hold_id, confirmed.get(hold_id))

    def a_key_has_one_answer_now(self) -> None:
        for ask, answers in self.answers.items():
            assert len(answers) <= 1, (ask, answers)

    async def _check(self, hold_id: str, confirmed: Any) -> None:
        payment = await self.till.checkout().payment(hold_id)
        bookings = self.till.bookings(hold_id)
        captured = [b for b in bookings if b.status is BookingStatus.CAPTURED]
        hold = await self.till.found(hold_id)
        assert (hold.status is HoldStatus.CONFIRMED) == (confirmed is not None) == (len(captured) == 1)
        assert all(
            b.status in {BookingStatus.CAPTURED, BookingStatus.DECLINED, BookingStatus.VOIDED}
            for b in bookings
        )
        if confirmed is None:
            assert not captured
            assert hold_id not in self.orders
            return
        position, event = confirmed
        assert isinstance(payment, Payment)
        assert payment.order is not None
        assert payment.latest.status is AttemptStatus.CAPTURED
        assert captured[0].amount == payment.amount == PRICE.times(len(hold.units))
        assert (payment.id, payment.order.id) == (event.payment_id, event.order_id)
        assert (payment.order.position, payment.order.placed_at) == (position, event.at)
        again = await self.till.pay(hold_id, key=b"again")
        assert self.orders.get(hold_id, {str(order_of(again))}) == {str(order_of(again))}

    async def _begin(self, work: Coroutine[Any, Any, Any]) -> Actor:
        actor = Actor(work)
        await actor.settle()
        return actor

    def _note(self, ask: Ask, actor: Actor) -> None:
        try:
            paid: Paid = actor.task.result()
        except Rejected as refused:
            if refused.code not in INDEFINITE | {"key_reused"}:
                self.answers.setdefault(ask, set()).add(refused.code)
        else:
            self.answers.setdefault(ask, set()).add("paid")
            self.orders.setdefault(ask.hold_id, set()).add(str(order_of(paid)))


CheckoutMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCheckout = CheckoutMachine.TestCase
