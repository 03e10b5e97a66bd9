"""Cold writes that may be retried: the answer to an Idempotency-Key lies in the log for a day.

The claim of a key carries the id of what the request will make. Work that was cut short between the claim and
its answer is done again with the same id, and making what exists already changes nothing.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import assert_never

import msgspec
import structlog

from cells.engine.handle import handle
from cells.kernel.clock import Clock
from cells.kernel.codec import EventKind, Registry
from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected
from cells.log.port import Log
from server.web.problem import MEDIA_TYPE, encode

_log = structlog.get_logger(__name__)

KEPT_MS = 24 * 3600 * 1000
LEASE_MS = 10_000
WAIT_SECONDS = 10.0
MAX_KEY = 128


class Claimed(msgspec.Struct, frozen=True, array_like=True):
    """A request took the key, or took it over from one that never answered. `resource_id` is what it makes."""

    body_hash: bytes
    resource_id: str
    at: int


class Released(msgspec.Struct, frozen=True, array_like=True):
    """The work ended without an answer worth keeping; a retry does it again at once."""

    at: int


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """The answer that every retry gets. `problem` tells the media type."""

    status: int
    body: bytes
    problem: bool
    at: int


class Record(msgspec.Struct, frozen=True):
    """A key's past. `status` 0: not answered yet; `body_hash` empty: never used."""

    body_hash: bytes = b""
    resource_id: str = ""
    claimed_at: int = 0
    leased_until: int = 0
    status: int = 0
    body: bytes = b""
    problem: bool = False


class Claim(msgspec.Struct, frozen=True):
    """Take the key for a request."""

    body_hash: bytes
    resource_id: str


class Release(msgspec.Struct, frozen=True):
    """Give up the work."""


class Keep(msgspec.Struct, frozen=True):
    """Keep the answer."""

    status: int
    body: bytes
    problem: bool


Command = Claim | Release | Keep
Event = Claimed | Released | Answered


def decide(record: Record, command: Command, now: int) -> list[Event]:
    """Decide about a key. An empty decision on a claim means: replay."""
    match command:
        case Claim():
            return _claim(record, command, now)
        case Release():
            return [] if record.status else [Released(now)]
        case Keep(status, body, problem):
            return [] if record.status else [Answered(status, body, problem, now)]
        case _:
            assert_never(command)


def _claim(record: Record, claim: Claim, now: int) -> list[Event]:
    if not record.body_hash or now >= record.claimed_at + KEPT_MS:
        return [Claimed(claim.body_hash, claim.resource_id, now)]
    if record.body_hash != claim.body_hash:
        raise Rejected("key_reused", "The Idempotency-Key belongs to a request with another body.")
    if record.status:
        return []
    if now < record.leased_until:
        raise Rejected(
            "conflict",
            "The first request with this Idempotency-Key is still at work.",
            retry_after_ms=record.leased_until - now,
        )
    return [Claimed(record.body_hash, record.resource_id, now)]


def evolve(record: Record, event: Event) -> Record:
    """Fold."""
    match event:
        case Claimed(body_hash, resource_id, at):
            return Record(body_hash, resource_id, at, at + LEASE_MS)
        case Released():
            return msgspec.structs.replace(record, leased_until=0)
        case Answered(status, body, problem):
            return msgspec.structs.replace(record, status=status, body=body, problem=problem)
        case _:
            assert_never(event)


DECIDER: Decider[Record, Command] = Decider(
    kind="idm",
    initial=Record,
    decide=decide,
    evolve=evolve,
    registry=Registry(
        [EventKind("Claimed", Claimed), EventKind("Released", Released), EventKind("Answered", Answered)]
    ),
)


class Answer(msgspec.Struct, frozen=True):
    """An answer as it leaves: `body` is encoded JSON."""

    status: int
    body: bytes
    problem: bool = False
    replayed: bool = False


class Request(msgspec.Struct, frozen=True):
    """What makes a request the same request. `slot` is the account's."""

    account: str
    slot: int
    method: str
    path: str
    key: str | None
    body: bytes


Work = Callable[[str], Awaitable[Answer]]


def checked(key: str | None) -> str | None:
    """Return the header's value if it may be one. Raises `Rejected` (bad_request)."""
    if key is not None and not (1 <= len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise Rejected(
            "bad_request", f"The Idempotency-Key has to be 1 to {MAX_KEY} printable ASCII characters."
        )
    return key


class Idempotency:
    """Runs cold writes at most once per key. Keys of different accounts, methods or paths never meet."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._running: dict[str, asyncio.Event] = {}

    async def run(self, request: Request, new_id: str, work: Work) -> Answer:
        """Do `work(resource id)` once and keep its answer; a retry gets the same answer.

        `work` has to be harmless when it is done again with the same resource id. Refusals that a retry may
        overcome are not kept. Raises what `work` raises, `Rejected` (key_reused, conflict).
        """
        key = checked(request.key)
        if key is None:
            return await work(new_id)
        name = hashlib.sha256(
            f"{request.account}|{request.method}|{request.path}|{key}".encode()
        ).hexdigest()[:32]
        await self._wait_for_twin(name)
        done = self._running[name] = asyncio.Event()
        try:
            return await self._run(request, name, new_id, work)
        finally:
            done.set()
            if self._running.get(name) is done:
                del self._running[name]

    async def _wait_for_twin(self, name: str) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while name in self._running:
                    await self._running[name].wait()
        except TimeoutError:
            raise Rejected(
                "conflict",
                "The first request with this Idempotency-Key is still at work.",
                retry_after_ms=1000,
            ) from None

    async def _run(self, request: Request, name: str, new_id: str, work: Work) -> Answer:
        body_hash = hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.body).digest()
        claim = Claim(body_hash, new_id)
        claimed = await handle(self._log, DECIDER, request.slot, name, claim, self._clock)
        record = claimed.state
        if record.status:
            return Answer(record.status, record.body, record.problem, replayed=True)
        try:
            answer = await work(record.resource_id)
        except Rejected as refusal:
            if refusal.retryable:
                await self._note(request.slot, name, Release())
            else:
                await self._note(request.slot, name, Keep(refusal.status, encode(refusal), problem=True))
            raise
        except Exception:
            await self._note(request.slot, name, Release())
            raise
        await self._note(request.slot, name, Keep(answer.status, answer.body, answer.problem))
        return answer

    async def _note(self, slot: int, name: str, command: Command) -> None:
        """Record how the work ended. If that fails, the lease ends by itself and a retry repeats the work."""
        try:
            await handle(self._log, DECIDER, slot, name, command, self._clock)
        except Rejected as error:
            _log.warning("an idempotency record could not be written", reason=error.detail)


def media_type(answer: Answer) -> str:
    """Return the media type of an answer's body."""
    return MEDIA_TYPE if answer.problem else "application/json"
