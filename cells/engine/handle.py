"""Cold aggregates: load, decide, append with the expected position; from any process, retried on conflict only."""

from typing import Any, Generic, TypeVar

import msgspec

from cells.engine.commit import commit
from cells.kernel import envelope
from cells.kernel.clock import Clock
from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected
from cells.log import subjects
from cells.log.chain import Chain
from cells.log.port import Appended, Conflict, Log, LogUnavailable, Refused, Unknown

S = TypeVar("S")
C = TypeVar("C")

ATTEMPTS = 16
DEADLINE_SECONDS = 5.0


class Loaded(msgspec.Struct, Generic[S]):
    """An aggregate as the log has it. `version` 0 means that it does not exist."""

    state: S
    chain: Chain

    @property
    def version(self) -> int:
        """Number of its commits."""
        return self.chain.version

    @property
    def position(self) -> int:
        """Position of its last commit."""
        return self.chain.position


class Handled(msgspec.Struct, Generic[S], frozen=True):
    """What a command led to. `events` is empty when it changed nothing."""

    state: S
    version: int
    position: int
    events: list[Any]


async def load(log: Log, decider: Decider[S, C], slot: int, key: str) -> Loaded[S]:
    """Fold one aggregate from the log. Raises `Broken` on an altered chain, `LogUnavailable`."""
    loaded: Loaded[S] = Loaded(decider.initial(), Chain())
    async for batch in log.read(subjects.subject(slot, decider.kind, key)):
        for stored in batch:
            loaded.chain.follow(stored)
            for event in envelope.decode(decider.registry, stored.body).events:
                loaded.state = decider.evolve(loaded.state, event)
    return loaded


async def handle(
    log: Log, decider: Decider[S, C], slot: int, key: str, command: C, clock: Clock
) -> Handled[S]:
    """Decide a command against the newest state and append what it led to.

    Raises `Rejected`: what the rules raise; `unavailable` or `fenced` when the log cannot take it (not
    applied); `outcome_unknown` when it did not answer in time.
    """
    for _ in range(ATTEMPTS):
        try:
            loaded = await load(log, decider, slot, key)
        except LogUnavailable as error:
            raise Rejected("unavailable", str(error), retry_after_ms=1000) from error
        now = clock.now()
        events = decider.decide(loaded.state, command, now)
        if not events:
            return Handled(loaded.state, loaded.version, loaded.position, [])
        body = envelope.encode(decider.registry, loaded.version + 1, now, loaded.chain.hash, events)
        subject = subjects.subject(slot, decider.kind, key)
        match await commit(log, subject, body, loaded.position, DEADLINE_SECONDS):
            case Appended(position):
                state = loaded.state
                for event in events:
                    state = decider.evolve(state, event)
                return Handled(state, loaded.version + 1, position, events)
            case Conflict():
                continue
            case Refused(reason, fenced):
                raise Rejected("fenced" if fenced else "unavailable", reason, retry_after_ms=1000)
            case Unknown(reason):
                raise Rejected("outcome_unknown", reason, retry_after_ms=1000)
    raise Rejected("conflict", f"{ATTEMPTS} other changes came first", retry_after_ms=100)
