"""One contract for every provider: each call is idempotent by its reference, and voiding beats a late authorisation."""

import asyncio

import pytest

from cells.kernel.clock import ManualClock
from cells.kernel.errors import Rejected
from cells.kernel.money import Money
from cells.log.memory import Fault, MemoryLog
from server.payments.adapters import SLOW_SECONDS, SandboxProvider
from server.payments.ports import (
    Authorised,
    Captured,
    Declined,
    MemoryProvider,
    NotBooked,
    TimedOut,
    Voided,
)
from server.payments.rules import METHODS, subject_key
from tests.unit.server.payments.payment import HOLD

PRICE = Money(1, "EUR")
REF = f"{HOLD}:1"


class Pauses(list[float]):
    """Keeps how long somebody would have waited."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def log():
    return MemoryLog()


@pytest.fixture(params=["memory", "sandbox"])
def provider(request, log):
    clock = ManualClock()
    return MemoryProvider(clock) if request.param == "memory" else SandboxProvider(log, clock, Pauses())


async def test_what_was_never_asked_for_is_not_booked(provider):
    assert await provider.find(REF) == NotBooked()
    assert await provider.capture(REF) == NotBooked()


async def test_authorise_capture(provider):
    assert await provider.authorise(REF, PRICE, "pm_ok") == (Authorised(REF),)
    assert await provider.find(REF) == Authorised(REF)
    assert await provider.capture(REF) == Captured()
    assert await provider.find(REF) == Captured()


async def test_every_call_may_be_repeated(provider):
    for _ in range(2):
        assert await provider.authorise(REF, PRICE, "pm_ok") == (Authorised(REF),)
    for _ in range(2):
        assert await provider.capture(REF) == Captured()
    assert await provider.authorise(REF, PRICE, "pm_ok") == (Captured(),)
    assert await provider.void(REF) == Captured()


async def test_a_decline_is_final(provider):
    for _ in range(2):
        assert await provider.authorise(REF, PRICE, "pm_declined") == (Declined("the card was refused"),)
    assert await provider.capture(REF) == Declined("the card was refused")
    assert await provider.void(REF) == Declined("the card was refused")


async def test_a_void_before_the_authorisation_leaves_a_tombstone(provider):
    for _ in range(2):
        assert await provider.void(REF) == Voided()
    assert await provider.authorise(REF, PRICE, "pm_ok") == (Voided(),)
    assert await provider.capture(REF) == Voided()


async def test_a_void_gives_back_what_was_kept(provider):
    await provider.authorise(REF, PRICE, "pm_ok")
    assert await provider.void(REF) == Voided()
    assert await provider.capture(REF) == Voided()


async def test_pm_timeout_is_booked_although_it_does_not_answer_the_first_time(provider):
    assert await provider.authorise(REF, PRICE, "pm_timeout") == (TimedOut(),)
    assert await provider.find(REF) == Authorised(REF)
    assert await provider.authorise(REF, PRICE, "pm_timeout") == (Authorised(REF),)


async def test_pm_duplicate_answers_twice(provider):
    assert await provider.authorise(REF, PRICE, "pm_duplicate") == (Authorised(REF), Authorised(REF))


async def test_attempts_of_a_hold_are_booked_apart(provider):
    await provider.authorise(REF, PRICE, "pm_declined")
    assert await provider.authorise(f"{HOLD}:2", PRICE, "pm_ok") == (Authorised(f"{HOLD}:2"),)


async def test_an_unknown_method_is_refused_and_the_names_are_listed(provider):
    with pytest.raises(Rejected) as refused:
        await provider.authorise(REF, PRICE, "pm_gold")
    assert refused.value.code == "bad_request"
    assert all(name in refused.value.detail for name in METHODS)
    assert await provider.find(REF) == NotBooked()


async def test_concurrent_calls_book_once(provider):
    answers = await asyncio.gather(*(provider.authorise(REF, PRICE, "pm_ok") for _ in range(8)))
    assert set(answers) == {(Authorised(REF),)}


async def test_the_sandbox_forgets_nothing(log):
    clock = ManualClock()
    await SandboxProvider(log, clock).authorise(REF, PRICE, "pm_ok")
    assert await SandboxProvider(log, clock).find(REF) == Authorised(REF)
    assert await log.subjects("log.*.bank.*") == {f"log.007.bank.{subject_key(REF)}": 1}


async def test_pm_slow_takes_its_time(log):
    pauses = Pauses()
    assert await SandboxProvider(log, ManualClock(), pauses).authorise(REF, PRICE, "pm_slow") == (
        Authorised(REF),
    )
    assert pauses == [SLOW_SECONDS]


async def test_a_log_that_says_no_is_a_provider_that_does_not_answer(log):
    provider = SandboxProvider(log, ManualClock(), Pauses())
    log.faults.append(Fault.REFUSED)
    assert await provider.authorise(REF, PRICE, "pm_ok") == (TimedOut(),)
    assert await provider.find(REF) == NotBooked()


def test_references_stay_different_in_subjects():
    assert subject_key("hld_1:1") == "hld_1=3a=1"
    assert len({subject_key(r) for r in ("a:1", "a=3a=1", "a.1", "a-1", "a\u20ac")}) == 5
    assert not set(subject_key("a.b c*d>e")) & set(".* >")
