"""Keys of operators."""

import pytest

from cells.kernel import envelope
from cells.kernel.clock import ManualClock
from cells.kernel.errors import Rejected
from cells.log.memory import MemoryLog
from server.accounts import operators
from server.accounts.operators import CACHED_MS, DECIDER, OperatorKeys, OperatorRevoked
from server.web.auth import Actor, demand


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def log():
    return MemoryLog()


async def test_a_key_admits_its_operator(log, clock):
    key = await operators.create(log, clock, "ana", "admin", bytes(32))

    actor = await OperatorKeys(log, clock).check(key)

    assert actor is not None
    assert (actor.role, actor.name) == ("admin", "ana")
    assert actor.is_operator


async def test_another_secret_does_not_admit(log, clock):
    key = await operators.create(log, clock, "ana", "admin", bytes(32))
    forged = key[:-43] + "B" * 43

    assert await OperatorKeys(log, clock).check(forged) is None
    assert await OperatorKeys(log, clock).check("tk_nonsense") is None


async def test_a_revoked_key_is_refused_within_five_seconds(log, clock):
    key = await operators.create(log, clock, "ana", "operator", bytes(32))
    keys = OperatorKeys(log, clock)
    assert await keys.check(key) is not None

    await operators.revoke(log, clock, "ana")
    clock.advance(CACHED_MS)

    assert await keys.check(key) is None
    assert await operators.everyone(log) == []


async def test_a_name_has_one_key_and_may_get_a_new_one(log, clock):
    first = await operators.create(log, clock, "ana", "operator", bytes(32))
    with pytest.raises(Rejected):
        await operators.create(log, clock, "ana", "admin", b"1" * 32)

    await operators.revoke(log, clock, "ana")
    second = await operators.create(log, clock, "ana", "admin", b"1" * 32)

    keys = OperatorKeys(log, clock)
    assert await keys.check(first) is None
    assert await keys.check(second) is not None
    assert [o.name for o in await operators.everyone(log)] == ["ana"]


async def test_the_log_holds_no_key(log, clock):
    key = await operators.create(log, clock, "ana", "operator", b"7" * 32)

    stored = await log.at(1)

    assert stored is not None
    assert key.split(".")[1].encode() not in stored.body
    assert key.encode() not in stored.body


async def test_who_ended_a_key_is_in_the_log(log, clock):
    await operators.create(log, clock, "ana", "operator", bytes(32))

    await operators.revoke(log, clock, "ana", Actor("opr_2", "admin", "bea"))

    stored = await log.at(2)
    assert envelope.decode(DECIDER.registry, stored.body).events == [
        OperatorRevoked(clock.now(), "opr_2", "bea")
    ]


@pytest.mark.parametrize(
    ("role", "passes"),
    (
        ("viewer", {"viewer"}),
        ("operator", {"viewer", "operator"}),
        ("admin", {"viewer", "operator", "admin"}),
        ("buyer", {"buyer"}),
        ("merchant", {"merchant"}),
    ),
)
def test_a_rank_has_what_lower_ones_have_and_no_account_has_any(role, passes):
    for wanted in ("buyer", "merchant", "viewer", "operator", "admin"):
        if wanted in passes:
            demand(Actor("x", role, "x"), wanted)
        else:
            with pytest.raises(Rejected):
                demand(Actor("x", role, "x"), wanted)
