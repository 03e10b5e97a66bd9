"""Rate limits, with and without Valkey."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as ValkeyDown
from redis.exceptions import NoScriptError

from cells.kernel.clock import ManualClock
from cells.kernel.errors import Rejected
from cells.telemetry.instruments import Metrics
from server.web.limits import Limits, LocalBuckets, Rule, address_of

RULE = Rule("test", 10, 1_000, 3)


class ScriptInMemory:
    """Runs what the script says, in memory; fails as it is told to."""

    def __init__(self) -> None:
        self.buckets = LocalBuckets()
        self.failures: list[Any] = []
        self.calls: list[int] = []
        self.loads = 0

    async def script_load(self, script: str) -> str:  # noqa: ARG002 - the port's signature
        self.loads += 1
        return "sha"

    async def evalsha(self, sha: str, numkeys: int, *arguments: Any) -> list[int]:  # noqa: ARG002 - see above
        self.calls.append(numkeys)
        failure = self.failures.pop(0) if self.failures else None
        if failure == "hang":
            await asyncio.Event().wait()
        if failure is not None:
            raise failure
        keys, now, pairs = arguments[:numkeys], arguments[numkeys], arguments[numkeys + 1 :]
        rules = [
            Rule("x", 1_000_000 // pairs[2 * i], 1_000, 1 + pairs[2 * i + 1] // pairs[2 * i])
            for i in range(numkeys)
        ]
        return [self.buckets.ask(rule, key, now) for rule, key in zip(rules, keys, strict=True)]


@pytest.fixture
def valkey():
    return ScriptInMemory()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def limits(valkey, clock):
    return Limits(valkey, clock, Metrics(), cell="c1", enabled=True)


async def admitted(limits: Limits, count: int, who: str = "a") -> int:
    found = await asyncio.gather(*(limits.admit(RULE, who) for _ in range(count)), return_exceptions=True)
    return sum(f is None for f in found)


async def test_a_burst_passes_and_the_next_one_waits(limits):
    assert await admitted(limits, 3) == 3

    with pytest.raises(Rejected) as caught:
        await limits.admit(RULE, "a")

    assert caught.value.code == "rate_limited"
    assert caught.value.retry_after_ms == 100


async def test_time_gives_back_what_was_used(limits, clock):
    await admitted(limits, 3)
    clock.advance(200)

    assert await admitted(limits, 5) == 2


async def test_callers_do_not_share_a_bucket(limits):
    await admitted(limits, 3)

    assert await admitted(limits, 3, "b") == 3


async def test_the_asks_of_one_turn_are_one_call(limits, valkey):
    await asyncio.gather(*(limits.admit(RULE, f"u{i}") for i in range(100)))

    assert valkey.calls == [100]


async def test_without_valkey_this_process_counts_alone(limits, valkey):
    valkey.failures = [ValkeyDown()]

    assert await admitted(limits, 5) == 3
    assert await admitted(limits, 5) == 0
    assert limits.state == "away"
    assert len(valkey.calls) == 1


async def test_a_valkey_that_hangs_costs_no_more_than_its_deadline(limits, valkey):
    valkey.failures = ["hang"]
    began = asyncio.get_running_loop().time()

    assert await admitted(limits, 3) == 3

    assert asyncio.get_running_loop().time() - began < 0.5
    for task in list(limits._sending):
        task.cancel()


async def test_a_forgotten_script_is_loaded_again(limits, valkey):
    valkey.failures = [NoScriptError()]

    assert await admitted(limits, 1) == 1
    assert valkey.loads == 2


async def test_limits_that_are_off_admit_all(valkey, clock):
    assert await admitted(Limits(valkey, clock, Metrics(), cell="c1", enabled=False), 50) == 50
    assert valkey.calls == []


def test_local_buckets_are_bounded():
    buckets = LocalBuckets(max_entries=2)
    for who in "abc":
        buckets.ask(RULE, who, 0)

    assert len(buckets._due) == 2


@pytest.mark.parametrize(
    ("client", "counted"),
    (
        (("10.0.0.7", 1), "10.0.0.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::1", 1), "2001:db8:1:2::/64"),
        (("::ffff:10.0.0.7", 1), "10.0.0.7"),
        (("socket", 0), "socket"),
        (None, "unknown"),
    ),
)
def test_an_address_counts_by_what_one_caller_can_choose(client, counted):
    assert address_of({"client": client, "headers": [(b"x-forwarded-for", b"1.2.3.4")]}) == counted
