"""Rate limits: the generic cell rate algorithm, shared by all workers in Valkey, in this process when Valkey is away.

| rule             | who              | steady       | burst |
|------------------|------------------|--------------|-------|
| `READS`          | address          | 100/s        | 200   |
| `WRITES`         | account, else address | 20/s    | 40    |
| `SIGN_IN_ADDRESS`| address          | 30/min       | 60    |
| `SIGN_IN_ACCOUNT`| e-mail address   | 10/min       | 10    |
| `REFRESH`        | address          | 5/s          | 100   |

Address means the peer's: nothing that a client writes (`X-Forwarded-For`) is trusted; an IPv6 address counts by
its /64. `TITAN_RATE_LIMITS=off` lifts them all.
"""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable
from typing import Any, Protocol

import msgspec
import structlog
from redis.exceptions import NoScriptError, RedisError

from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.telemetry.instruments import Metrics

_log = structlog.get_logger(__name__)

VALKEY_SECONDS = 0.05
BREAK_SECONDS = 1.0
BATCH = 256
LOCAL_ENTRIES = 50_000

# KEYS: one per ask. ARGV: now, then interval and tolerance of each ask, all in microseconds.
# Answers microseconds to wait, 0 for admitted. Numbers are formatted, because Lua would write 1.8e+15.
SCRIPT = """
local now = tonumber(ARGV[1])
local out = {}
for i, key in ipairs(KEYS) do
  local interval, tolerance = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local due = math.max(tonumber(redis.call('GET', key) or '0'), now)
  local wait = due - now - tolerance
  if wait > 0 then
    out[i] = math.ceil(wait)
  else
    out[i] = 0
    redis.call('SET', key, string.format('%.0f', due + interval),
      'PX', string.format('%.0f', math.ceil((due + interval - now) / 1000) + 1))
  end
end
return out
"""


class Rule(msgspec.Struct, frozen=True):
    """`count` requests per `period_ms`, and `burst` at once."""

    name: str
    count: int
    period_ms: int
    burst: int

    @property
    def interval_us(self) -> int:
        """Microseconds that one request costs."""
        return self.period_ms * 1000 // self.count

    @property
    def tolerance_us(self) -> int:
        """Microseconds that a caller may be ahead."""
        return self.interval_us * (self.burst - 1)


READS = Rule("read", 100, 1_000, 200)
WRITES = Rule("write", 20, 1_000, 40)
SIGN_IN_ADDRESS = Rule("sign-in-address", 30, 60_000, 60)
SIGN_IN_ACCOUNT = Rule("sign-in-account", 10, 60_000, 10)
REFRESH = Rule("refresh", 5, 1_000, 100)


class ScriptRunner(Protocol):
    """What the limits ask of Valkey."""

    def script_load(self, script: str) -> Awaitable[Any]:
        """Load a script, return its SHA-1."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: str | int) -> Awaitable[Any]:
        """Run a loaded script."""


class LocalBuckets:
    """The same algorithm in this process. Full policy: the bucket used longest ago leaves."""

    def __init__(self, max_entries: int = LOCAL_ENTRIES) -> None:
        self._due: OrderedDict[str, int] = OrderedDict()
        self._max = max_entries

    def ask(self, rule: Rule, key: str, now_us: int) -> int:
        """Return microseconds to wait, 0 for admitted."""
        due = max(self._due.get(key, 0), now_us)
        wait = due - now_us - rule.tolerance_us
        if wait > 0:
            return wait
        self._due[key] = due + rule.interval_us
        self._due.move_to_end(key)
        if len(self._due) > self._max:
            self._due.popitem(last=False)
        return 0


class _Ask(msgspec.Struct, frozen=True):
    rule: Rule
    key: str
    answer: asyncio.Future[int]


class Limits:
    """Admits or refuses. The asks of one turn of the event loop go to Valkey together."""

    def __init__(
        self, valkey: ScriptRunner, clock: Clock, metrics: Metrics, *, cell: str, enabled: bool
    ) -> None:
        self._valkey = valkey
        self._clock = clock
        self._enabled = enabled
        # The application may touch its own cell's keys only.
        self._prefix = f"{cell}:rl"
        self._local = LocalBuckets()
        self._waiting: list[_Ask] = []
        self._sending: set[asyncio.Task[Any]] = set()
        self._sha = ""
        self._broken_until = 0.0
        self._refused = metrics.counter("titan_rate_limited_total")
        self._fallbacks = metrics.counter("titan_rate_limits_local_total")

    @property
    def state(self) -> str:
        """`ok`, or that this process counts alone because Valkey did not answer lately."""
        return "ok" if asyncio.get_running_loop().time() >= self._broken_until else "away"

    async def admit(self, rule: Rule, who: str) -> None:
        """Count one request of `who`. Raises `Rejected` (rate_limited) with the time to wait.

        Never fails otherwise and never waits longer than 50 ms: without Valkey this process counts alone.
        """
        if not self._enabled:
            return
        loop = asyncio.get_running_loop()
        key = f"{self._prefix}:{rule.name}:{who}"
        if loop.time() < self._broken_until:
            wait = self._local.ask(rule, key, self._clock.now() * 1000)
        else:
            ask = _Ask(rule, key, loop.create_future())
            if not self._waiting:
                loop.call_soon(self._flush)
            self._waiting.append(ask)
            wait = await ask.answer
        if wait:
            self._refused.add()
            raise Rejected(
                "rate_limited",
                f"More than {rule.count} in {rule.period_ms / 1000:g} s.",
                retry_after_ms=-(-wait // 1000),
            )

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), BATCH):
            task = asyncio.create_task(self._send(waiting[start : start + BATCH]))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, asks: list[_Ask]) -> None:
        now_us = self._clock.now() * 1000
        # Not cancelled when it is late: redis-py may hand the answer of a cancelled call to the next one.
        call = asyncio.create_task(self._run(asks, now_us))
        await asyncio.wait((call,), timeout=VALKEY_SECONDS)
        try:
            waits = call.result() if call.done() else self._count_alone(asks, now_us, "late")
        except (RedisError, OSError, TimeoutError) as error:
            waits = self._count_alone(asks, now_us, type(error).__name__)
        if not call.done():
            self._sending.add(call)
            call.add_done_callback(self._forget)
        for ask, wait in zip(asks, waits, strict=True):
            if not ask.answer.done():
                ask.answer.set_result(int(wait))

    def _count_alone(self, asks: list[_Ask], now_us: int, reason: str) -> list[int]:
        self._broken_until = asyncio.get_running_loop().time() + BREAK_SECONDS
        self._fallbacks.add(len(asks))
        _log.warning("rate limits count in this process alone", reason=reason)
        return [self._local.ask(ask.rule, ask.key, now_us) for ask in asks]

    def _forget(self, call: "asyncio.Task[Any]") -> None:
        self._sending.discard(call)
        if not call.cancelled():
            call.exception()  # taken note of, so that asyncio does not complain; it was counted as late

    async def _run(self, asks: list[_Ask], now_us: int) -> list[int]:
        arguments: list[str | int] = [ask.key for ask in asks]
        arguments.append(now_us)
        for ask in asks:
            arguments += (ask.rule.interval_us, ask.rule.tolerance_us)
        if not self._sha:
            self._sha = await self._valkey.script_load(SCRIPT)
        try:
            found: list[int] = await self._valkey.evalsha(self._sha, len(asks), *arguments)
        except NoScriptError:
            self._sha = await self._valkey.script_load(SCRIPT)
            found = await self._valkey.evalsha(self._sha, len(asks), *arguments)
        return found


def address_of(scope: Any) -> str:
    """Return what an address counts as: the peer's IPv4 address, or the /64 of its IPv6 address."""
    client = scope.get("client")
    if not client:
        return "unknown"
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return str(client[0])[:64]
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
