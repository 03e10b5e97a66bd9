"""Retries of cold writes."""

import asyncio

import pytest

from cells.kernel.clock import ManualClock
from cells.kernel.errors import Rejected
from cells.log.memory import Fault, MemoryLog
from server.web.idempotency import (
    DECIDER,
    KEPT_MS,
    LEASE_MS,
    Answer,
    Answered,
    Claim,
    Claimed,
    Idempotency,
    Keep,
    Release,
    Released,
    Request,
    checked,
)
from tests.unit.given import given

NOW = 1_800_000_000_000
CLAIMED = Claimed(b"hash", "prd_1", NOW)
ANSWERED = Answered(201, b"{}", False, NOW)


def test_a_new_key_is_claimed_with_the_id_of_what_it_makes():
    given(DECIDER).when(Claim(b"hash", "prd_1"), NOW).then(CLAIMED)


def test_an_answered_key_is_replayed():
    state = given(DECIDER, CLAIMED, ANSWERED).when(Claim(b"hash", "prd_2"), NOW + 1).then()

    assert (state.status, state.body) == (201, b"{}")


def test_another_body_under_the_same_key_is_refused():
    given(DECIDER, CLAIMED, ANSWERED).when(Claim(b"other", "prd_2"), NOW).rejected("key_reused")
    given(DECIDER, CLAIMED).when(Claim(b"other", "prd_2"), NOW).rejected("key_reused")


def test_work_that_may_still_run_is_not_repeated():
    refusal = given(DECIDER, CLAIMED).when(Claim(b"hash", "prd_2"), NOW + 1).rejected("conflict")

    assert refusal.retry_after_ms == LEASE_MS - 1


def test_work_that_was_cut_short_is_repeated_with_the_same_id():
    late = NOW + LEASE_MS

    given(DECIDER, CLAIMED).when(Claim(b"hash", "prd_2"), late).then(Claimed(b"hash", "prd_1", late))
    given(DECIDER, CLAIMED, Released(NOW)).when(Claim(b"hash", "prd_2"), NOW).then(
        Claimed(b"hash", "prd_1", NOW)
    )


def test_a_key_is_free_again_after_a_day():
    late = NOW + KEPT_MS

    given(DECIDER, CLAIMED, ANSWERED).when(Claim(b"other", "prd_2"), late).then(
        Claimed(b"other", "prd_2", late)
    )


def test_the_first_answer_stands():
    given(DECIDER, CLAIMED, ANSWERED).when(Keep(500, b"", problem=True), NOW).then()
    given(DECIDER, CLAIMED, ANSWERED).when(Release(), NOW).then()


@pytest.mark.parametrize("key", ("", "x" * 129, "tab\t", "é", "new\nline"))
def test_a_key_is_printable_and_short(key):
    with pytest.raises(Rejected):
        checked(key)


class Counting:
    """Work that counts its runs and ends as it is told to."""

    def __init__(self, *endings: Answer | Exception) -> None:
        self.endings = list(endings)
        self.ids: list[str] = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, resource_id: str) -> Answer:
        self.ids.append(resource_id)
        self.started.set()
        await self.gate.wait()
        ending = self.endings.pop(0) if self.endings else Answer(201, resource_id.encode())
        if isinstance(ending, Exception):
            raise ending
        return ending


def request(key: str | None = "k", body: bytes = b"{}") -> Request:
    return Request("usr_1", 5, "POST", "/api/v1/products", key, body)


@pytest.fixture
def idempotency():
    return Idempotency(MemoryLog(), ManualClock())


async def test_a_retry_gets_the_first_answer(idempotency):
    work = Counting()

    first = await idempotency.run(request(), "prd_1", work)
    again = await idempotency.run(request(), "prd_2", work)

    assert (again.status, again.body, again.replayed) == (first.status, first.body, True)
    assert work.ids == ["prd_1"]


async def test_without_a_key_every_request_is_its_own(idempotency):
    work = Counting()

    await idempotency.run(request(key=None), "prd_1", work)
    await idempotency.run(request(key=None), "prd_2", work)

    assert work.ids == ["prd_1", "prd_2"]


async def test_twins_run_once(idempotency):
    work = Counting()
    work.gate.clear()
    twins = [asyncio.create_task(idempotency.run(request(), f"prd_{i}", work)) for i in range(5)]
    await asyncio.wait_for(work.started.wait(), 5)
    work.gate.set()

    answers = await asyncio.gather(*twins)

    assert work.ids == ["prd_0"]
    assert {a.body for a in answers} == {b"prd_0"}


async def test_a_definite_refusal_is_the_answer_of_every_retry(idempotency):
    work = Counting(Rejected("wrong_state"))
    with pytest.raises(Rejected):
        await idempotency.run(request(), "prd_1", work)

    again = await idempotency.run(request(), "prd_2", work)

    assert (again.status, again.problem, again.replayed) == (409, True, True)
    assert work.ids == ["prd_1"]


@pytest.mark.parametrize("failure", (Rejected("unavailable"), Rejected("outcome_unknown"), ValueError()))
async def test_a_failure_that_a_retry_may_overcome_is_not_kept(idempotency, failure):
    work = Counting(failure)
    with pytest.raises(type(failure)):
        await idempotency.run(request(), "prd_1", work)

    again = await idempotency.run(request(), "prd_2", work)

    assert (again.status, again.replayed) == (201, False)
    assert work.ids == ["prd_1", "prd_1"]


async def test_work_that_was_done_is_answered_even_if_the_answer_cannot_be_kept():
    log = MemoryLog()
    idempotency = Idempotency(log, ManualClock())

    async def work(resource_id):
        log.faults.append(Fault.REFUSED)
        return Answer(201, resource_id.encode())

    answer = await idempotency.run(request(), "prd_1", work)

    assert answer.status == 201


async def test_accounts_do_not_share_keys(idempotency):
    work = Counting()
    other = Request("usr_2", 5, "POST", "/api/v1/products", "k", b"{}")

    await idempotency.run(request(), "prd_1", work)
    await idempotency.run(other, "prd_2", work)

    assert work.ids == ["prd_1", "prd_2"]
