"""The gate in Valkey, as `api` uses it: one script call a tick turns away what cannot succeed.

It is disposable and never trusted. Where it is empty, stale, slow or gone, everything passes and the writer's fold
decides. It refuses only when it is at least as new as all that this process has heard of the sale, and when it has
heard of it at all, so a copy restored from the past refuses nobody.
"""

import time
from collections.abc import Callable
from importlib.resources import files
from typing import Protocol

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

_log = structlog.get_logger(__name__)

OPEN_SECONDS = 0.5
"""How long the gate is left out after it failed."""

VERDICTS = ("", "not_open", "limit_reached", "sold_out", "rate_limited")


class Entry(msgspec.Struct, frozen=True):
    """A hold that asks to pass. `known` is the newest version of the sale that this process has heard of, or 0."""

    sale_id: str
    buyer_id: str
    quantity: int
    key: bytes
    known: int


class Verdict(msgspec.Struct, frozen=True):
    """`code` is empty for a pass."""

    code: str
    retry_after_ms: int | None = None


PASS = Verdict("")
_REFUSED = {n: Verdict(code) for n, code in enumerate(VERDICTS)}


class Rate(msgspec.Struct, frozen=True):
    """Holds a buyer may try: one every `interval_ms`, and `burst` at once."""

    interval_ms: int = 100
    burst: int = 20


NO_RATE = Rate(0, 0)


class Gate(Protocol):
    """Says for each entry whether the writer should be asked. Must not raise."""

    async def check(self, entries: list[Entry]) -> list[Verdict]:
        """Return a verdict an entry."""


class OpenGate:
    """The gate of a cell without one: everything passes."""

    async def check(self, entries: list[Entry]) -> list[Verdict]:
        """Let everything pass."""
        return [PASS] * len(entries)


def sale_key(cell: str, sale_id: str) -> str:
    """Return the key of a sale's hash: one key, so that no part of it can be older than the rest."""
    return f"{cell}:{{{sale_id}}}"


class Script:
    """A script that is loaded when the server does not know it, as after a restart."""

    def __init__(self, client: Redis, name: str) -> None:
        self._client = client
        self._source = files("server.flash_sale").joinpath("lua", name).read_text()
        self._sha = ""

    async def __call__(self, keys: list[str], args: list[str | bytes | int]) -> list[int] | int:
        """Run it. Raises `RedisError`."""
        if not self._sha:
            await self._load()
        try:
            answer: list[int] | int = await self._client.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:
            await self._load()
            answer = await self._client.evalsha(self._sha, len(keys), *keys, *args)
        return answer

    async def _load(self) -> None:
        self._sha = str(await self._client.script_load(self._source))


class ValkeyGate:
    """The gate. `observe` is told the seconds of every call; `unheard`, of which sale something should be heard."""

    def __init__(self, client: Redis, cell: str, rate: Rate) -> None:
        self._check = Script(client, "check.lua")
        self._cell = cell
        self._rate = rate
        self._closed_until = 0.0
        self.observe: Callable[[float], None] = lambda _seconds: None
        self.unheard: Callable[[str], None] = lambda _sale_id: None

    async def check(self, entries: list[Entry]) -> list[Verdict]:
        """Ask for all entries at once; a gate that fails is left out for half a second."""
        started = time.monotonic()
        if started < self._closed_until:
            return [PASS] * len(entries)
        try:
            answer = await self._ask(entries)
        except (RedisError, OSError, TimeoutError) as error:
            self._closed_until = time.monotonic() + OPEN_SECONDS
            _log.warning("gate left out", error=type(error).__name__, reason=str(error)[:500])
            return [PASS] * len(entries)
        self.observe(time.monotonic() - started)
        return answer

    async def _ask(self, entries: list[Entry]) -> list[Verdict]:
        index: dict[str, int] = {}
        for entry in entries:
            index.setdefault(entry.sale_id, len(index))
        keys = [sale_key(self._cell, sale_id) for sale_id in index]
        rate = self._rate
        if rate.interval_ms:
            keys += [f"{self._cell}:rate:hold:{entry.buyer_id}" for entry in entries]
        args: list[str | bytes | int] = [
            len(index),
            time.time_ns() // 1_000_000,
            rate.interval_ms,
            rate.interval_ms * (rate.burst - 1),
        ]
        for entry in entries:
            args += (index[entry.sale_id] + 1, entry.buyer_id, entry.quantity, entry.key)
        answer = await self._check(keys, args)
        assert isinstance(answer, list)  # noqa: S101 - the script's only return type
        verdicts = answer[len(index) :]
        return [
            self._verdict(entry, answer[index[entry.sale_id]], number, retry) if number else PASS
            for entry, number, retry in zip(entries, verdicts[::2], verdicts[1::2], strict=True)
        ]

    def _verdict(self, entry: Entry, version: int, number: int, retry_after_ms: int) -> Verdict:
        if VERDICTS[number] == "rate_limited":
            return Verdict("rate_limited", retry_after_ms)
        if not entry.known:
            self.unheard(entry.sale_id)
            return PASS
        return _REFUSED[number] if version >= entry.known else PASS
