"""What one endpoint has not taken at once: letters that are tried again, until they are taken or dead.

Most deliveries never get here: an endpoint's cursor says that they are done. A letter keeps its body, so that every
try sends the same bytes. `failures` counts failed tries with no taken one between them.
"""

from typing import assert_never

import msgspec

from cells.kernel.codec import EventKind, Registry
from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected

KIND = "dlv"

MAX_TRIES = 22
"""The tries behind the first take a day on average."""
FIRST_DELAY_MS = 5_000
LONGEST_DELAY_MS = 4 * 3600 * 1000
MOST_DEAD = 1_000
DOUBTFUL_AFTER = 5


# --- events ----------------------------------------------------------------------------------------------------


class Deferred(msgspec.Struct, frozen=True, array_like=True):
    """The first try failed. `status` is 0 when no answer came; `why` says what went wrong then."""

    event_id: str
    type: str
    body: bytes
    status: int
    why: str
    next_at: int
    at: int


class TryFailed(msgspec.Struct, frozen=True, array_like=True):
    """A further try failed."""

    event_id: str
    status: int
    why: str
    next_at: int
    at: int


class LetterDead(msgspec.Struct, frozen=True, array_like=True):
    """The last try failed. It is not tried again unless its merchant asks for it."""

    event_id: str
    status: int
    why: str
    at: int


class LetterTaken(msgspec.Struct, frozen=True, array_like=True):
    """The endpoint took it."""

    event_id: str
    at: int


class LetterRevived(msgspec.Struct, frozen=True, array_like=True):
    """A dead letter is tried again."""

    event_id: str
    at: int


class EndpointAnswered(msgspec.Struct, frozen=True, array_like=True):
    """After failures, the endpoint took something at the first try."""

    at: int


Event = Deferred | TryFailed | LetterDead | LetterTaken | LetterRevived | EndpointAnswered

REGISTRY = Registry(
    EventKind(kind.__name__, kind)
    for kind in (Deferred, TryFailed, LetterDead, LetterTaken, LetterRevived, EndpointAnswered)
)


# --- state -----------------------------------------------------------------------------------------------------


class Letter(msgspec.Struct, frozen=True):
    """A delivery that failed at first. `next_at` is 0 for a dead one. `number` counts an endpoint's letters.

    `at` is when it failed first, `tried_at` when it failed last.
    """

    number: int
    event_id: str
    type: str
    body: bytes
    tries: int
    status: int
    why: str
    next_at: int
    at: int
    tried_at: int

    @property
    def dead(self) -> bool:
        """Whether it is tried no more."""
        return self.next_at == 0


class Box(msgspec.Struct, frozen=True):
    """The letters of an endpoint, the oldest first. Of dead ones the oldest leave when there are too many."""

    letters: dict[str, Letter] = {}
    failures: int = 0
    numbered: int = 0

    @property
    def waiting(self) -> list[Letter]:
        """Those that are to be tried again, the oldest first."""
        return [letter for letter in self.letters.values() if not letter.dead]

    @property
    def doubtful(self) -> bool:
        """Whether the endpoint seems to be away: until a waiting letter is taken, nothing new is sent."""
        return self.failures >= DOUBTFUL_AFTER and bool(self.waiting)

    @property
    def hopeless(self) -> bool:
        """Whether a letter's every try failed and nothing else was taken between them."""
        return self.failures >= MAX_TRIES

    def due(self, now: int) -> list[Letter]:
        """Return what is to be tried now: of a doubtful endpoint the oldest letter alone."""
        waiting = self.waiting
        if self.doubtful:
            waiting = waiting[:1]
        return [letter for letter in waiting if letter.next_at <= now]

    def next_at(self) -> int | None:
        """Return when something is due; None: never."""
        waiting = self.waiting
        if self.doubtful:
            return waiting[0].next_at
        return min((letter.next_at for letter in waiting), default=None)


# --- commands --------------------------------------------------------------------------------------------------


class Failed(msgspec.Struct, frozen=True):
    """A try failed; the next one comes after `delay_ms`. `type` and `body` are kept of the first."""

    event_id: str
    type: str
    body: bytes
    status: int
    why: str
    delay_ms: int


class Taken(msgspec.Struct, frozen=True):
    """A try succeeded, of a letter or at the first."""

    event_id: str


class Revive(msgspec.Struct, frozen=True):
    """Try dead letters again; no ids: all of them."""

    event_ids: tuple[str, ...] = ()


Command = Failed | Taken | Revive


def decide(state: Box, command: Command, now: int) -> list[Event]:
    """Decide a command. Nothing is refused, and what is known already changes nothing."""
    match command:
        case Failed():
            return _failed(state, command, now)
        case Taken(event_id):
            if event_id in state.letters:
                return [LetterTaken(event_id, now)]
            return [EndpointAnswered(now)] if state.failures else []
        case Revive(event_ids):
            chosen = event_ids or tuple(state.letters)
            return [
                LetterRevived(each, now)
                for each in chosen
                if each in state.letters and state.letters[each].dead
            ]
        case _:
            assert_never(command)


def _failed(state: Box, command: Failed, now: int) -> list[Event]:
    letter = state.letters.get(command.event_id)
    next_at = now + command.delay_ms
    if letter is None:
        return [
            Deferred(command.event_id, command.type, command.body, command.status, command.why, next_at, now)
        ]
    if letter.dead:
        return []
    if letter.tries + 1 >= MAX_TRIES:
        return [LetterDead(command.event_id, command.status, command.why, now)]
    return [TryFailed(command.event_id, command.status, command.why, next_at, now)]


def evolve(state: Box, event: Event) -> Box:
    """Fold one event."""
    match event:
        case Deferred(event_id, type_, body, status, why, next_at, at):
            letter = Letter(state.numbered + 1, event_id, type_, body, 1, status, why, next_at, at, at)
            return Box({**state.letters, event_id: letter}, state.failures + 1, state.numbered + 1)
        case TryFailed():
            return _tried(state, event, event.next_at)
        case LetterDead():
            return _trimmed(_tried(state, event, 0))
        case LetterTaken(event_id):
            left = {key: value for key, value in state.letters.items() if key != event_id}
            return Box(left, 0, state.numbered)
        case LetterRevived(event_id, at):
            letter = msgspec.structs.replace(state.letters[event_id], tries=0, next_at=at)
            return Box({**state.letters, event_id: letter}, state.failures, state.numbered)
        case EndpointAnswered():
            return Box(state.letters, 0, state.numbered)
        case _:
            assert_never(event)


def _tried(state: Box, event: TryFailed | LetterDead, next_at: int) -> Box:
    letter = state.letters[event.event_id]
    tried = msgspec.structs.replace(
        letter,
        tries=letter.tries + 1,
        status=event.status,
        why=event.why,
        next_at=next_at,
        tried_at=event.at,
    )
    return Box({**state.letters, event.event_id: tried}, state.failures + 1, state.numbered)


def _trimmed(state: Box) -> Box:
    dead = [letter.event_id for letter in state.letters.values() if letter.dead]
    surplus = set(dead[: max(0, len(dead) - MOST_DEAD)])
    left = {key: value for key, value in state.letters.items() if key not in surplus}
    return Box(left, state.failures, state.numbered)


def find(state: Box, event_ids: tuple[str, ...]) -> None:
    """Check that all of these are dead letters. Raises `Rejected` (not_found)."""
    for event_id in event_ids:
        letter = state.letters.get(event_id)
        if letter is None or not letter.dead:
            raise Rejected("not_found", f"There is no dead delivery {event_id}.")


DECIDER: Decider[Box, Command] = Decider(KIND, Box, decide, evolve, REGISTRY)
