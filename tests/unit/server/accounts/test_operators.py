"""Keys of operators."""

import pytest

from cells.kernel.clock import ManualClock
from cells.kernel.errors import Rejected
from cells.log.memory import MemoryLog
from server.accounts import operators
from server.accounts.operators import CACHED_MS, OperatorKeys


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
