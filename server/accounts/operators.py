"""Keys of operators: `tk_<slot, 3 hex digits><aggregate key, 32 hex digits>.<secret>`, shown once, kept as a hash."""

import base64
import hashlib
import hmac
import re
from collections import OrderedDict
from typing import assert_never

import msgspec

from cells.engine.handle import handle, load
from cells.kernel.chance import fresh
from cells.kernel.clock import Clock
from cells.kernel.codec import EventKind, Registry
from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected
from cells.kernel.ids import slot_of
from cells.log import subjects
from cells.log.port import Log
from server.web.auth import Actor, Rank

KIND = "opr"
ENTROPY_BYTES = 32
CACHED_MS = 5_000
CACHE_ENTRIES = 1_024
_PATTERN = re.compile(r"tk_([0-9a-f]{3})([0-9a-f]{32})\.[A-Za-z0-9_-]{43}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")


class OperatorCreated(msgspec.Struct, frozen=True, array_like=True):
    """A key was made for somebody. `key_hash` is its SHA-256."""

    operator_id: str
    name: str
    role: Rank
    key_hash: bytes
    at: int


class OperatorRevoked(msgspec.Struct, frozen=True, array_like=True):
    """The key is not valid any more. `by` is the operator who ended it; empty for the machine's own command line."""

    at: int
    by: str = ""
    by_name: str = ""


Event = OperatorCreated | OperatorRevoked


class Operator(msgspec.Struct, frozen=True):
    """Who holds the key. `key_hash` is empty while nobody does."""

    operator_id: str = ""
    name: str = ""
    role: Rank = "viewer"
    key_hash: bytes = b""
    created_at: int = 0


class Create(msgspec.Struct, frozen=True):
    """Make a key."""

    operator_id: str
    name: str
    role: Rank
    key_hash: bytes


class Revoke(msgspec.Struct, frozen=True):
    """End the key."""

    by: str = ""
    by_name: str = ""


Command = Create | Revoke


def decide(operator: Operator, command: Command, now: int) -> list[Event]:
    """Decide a command."""
    match command:
        case Create():
            if operator.key_hash:
                raise Rejected("conflict", f"The operator {command.name} has a key; revoke it first.")
            return [OperatorCreated(command.operator_id, command.name, command.role, command.key_hash, now)]
        case Revoke(by, by_name):
            if not operator.key_hash:
                raise Rejected("not_found", "There is no such operator.")
            return [OperatorRevoked(now, by, by_name)]
        case _:
            assert_never(command)


def evolve(operator: Operator, event: Event) -> Operator:
    """Fold one event."""
    match event:
        case OperatorCreated(operator_id, name, role, key_hash, at):
            return Operator(operator_id, name, role, key_hash, at)
        case OperatorRevoked():
            return msgspec.structs.replace(operator, key_hash=b"")
        case _:
            assert_never(event)


DECIDER: Decider[Operator, Command] = Decider(
    KIND,
    Operator,
    decide,
    evolve,
    Registry([EventKind("OperatorCreated", OperatorCreated), EventKind("OperatorRevoked", OperatorRevoked)]),
)


def place_of(name: str) -> tuple[int, str]:
    """Return slot and aggregate key of the operator with this name."""
    return slot_of(name), hashlib.sha256(name.encode()).hexdigest()[:32]


async def create(log: Log, clock: Clock, name: str, role: Rank, entropy: bytes) -> str:
    """Make a key from 32 random bytes and return it; nobody can show it again. Raises `Rejected` (conflict)."""
    slot, key = place_of(name)
    secret = base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()
    text = f"tk_{slot:03x}{key}.{secret}"
    command = Create(fresh("opr", slot, clock), name, role, hashlib.sha256(text.encode()).digest())
    await handle(log, DECIDER, slot, key, command, clock)
    return text


async def revoke(log: Log, clock: Clock, name: str, by: Actor | None = None) -> None:
    """End a key; every process refuses it within 5 s. Raises `Rejected` (not_found)."""
    command = Revoke(by.id, by.name) if by is not None else Revoke()
    await handle(log, DECIDER, *place_of(name), command, clock)


async def everyone(log: Log) -> list[Operator]:
    """Return all operators that have a key, by name."""
    found = []
    for subject in await log.subjects(subjects.of_kind(KIND)):
        slot, _, key = subjects.split(subject)
        operator = (await load(log, DECIDER, slot, key)).state
        if operator.key_hash:
            found.append(operator)
    return sorted(found, key=lambda o: o.name)


class OperatorKeys:
    """Checks keys, remembering each finding for 5 s. Full policy: the finding used longest ago leaves."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[int, Actor | None]] = OrderedDict()

    async def check(self, text: str) -> Actor | None:
        """Return the operator whose key this is. Raises `LogUnavailable`."""
        found = _PATTERN.fullmatch(text)
        if found is None:
            return None
        digest = hashlib.sha256(text.encode()).digest()
        until, actor = self._known.get(digest, (0, None))
        now = self._clock.now()
        if until <= now:
            operator = (await load(self._log, DECIDER, int(found[1], 16), found[2])).state
            genuine = bool(operator.key_hash) and hmac.compare_digest(operator.key_hash, digest)
            actor = Actor(operator.operator_id, operator.role, operator.name) if genuine else None
            self._known[digest] = (now + CACHED_MS, actor)
            self._known.move_to_end(digest)
            if len(self._known) > CACHE_ENTRIES:
                self._known.popitem(last=False)
        return actor
