"""Where a replay stands and how it moves: time and position in the log, speed, and what is to be asked for next.

Nothing here waits or asks: `ReplayState` is a value, and each function returns the next one. A replay that plays
moves by the clock of the one who plays it, and stands while the server is still folding towards the last wish.
"""

from typing import Final

import msgspec

from admin_tui.wire import Frame

SPEEDS: Final = (1, 10, 60)
STEP_MS: Final = 10_000


class At(msgspec.Struct, frozen=True, tag=True):
    """As of a time, in epoch milliseconds."""

    at: int


class Position(msgspec.Struct, frozen=True, tag=True):
    """As of a position in the log of one cell."""

    position: int


Want = At | Position


class ReplayState(msgspec.Struct, frozen=True):
    """A replay. `want` is what is asked for; `at` and `position` are what is shown.

    `folding`: the share of the way that the server has come, while it is still on its way. `settled`: what is
    wanted is what is shown. `played`: when the replay last moved by itself. `first` and `last` bound the log.
    `refused`: why what is wanted cannot be shown.
    """

    want: Want
    at: int = 0
    position: int = 0
    first: int = 0
    last: int = 0
    playing: bool = False
    speed: int = 1
    folding: float | None = None
    settled: bool = False
    played: int = 0
    refused: str = ""

    @property
    def params(self) -> dict[str, str | int | None]:
        """What a question has to carry to be answered as of this moment."""
        match self.want:
            case At(at=at):
                return {"at": at}
            case Position(position=position):
                return {"position": position}


def begin(want: Want) -> ReplayState:
    """Return a replay that stands still."""
    return ReplayState(want, at=want.at if isinstance(want, At) else 0)


def moved(state: ReplayState, want: Want) -> ReplayState:
    """Want something else."""
    return msgspec.structs.replace(state, want=want, settled=False, folding=None, refused="")


def stepped(state: ReplayState, commits: int) -> ReplayState:
    """Go some commits on, or back, and stand there; not past either end of the log that is known."""
    origin = state.want.position if isinstance(state.want, Position) else state.position
    bound = max(state.first, 1), max(state.last, 1)
    target = Position(min(max(origin + commits, bound[0]), bound[1]))
    return msgspec.structs.replace(moved(state, target), playing=False)


def skipped(state: ReplayState, milliseconds: int) -> ReplayState:
    """Go some time on, or back; a replay that plays goes on playing from there."""
    return moved(state, At(max(0, _time(state) + milliseconds)))


def toggled(state: ReplayState, now: int) -> ReplayState:
    """Play, or stand."""
    return msgspec.structs.replace(state, playing=not state.playing, played=now)


def at_speed(state: ReplayState, speed: int, now: int) -> ReplayState:
    """Play at a speed; 0 stands."""
    if speed == 0:
        return msgspec.structs.replace(state, playing=False)
    return msgspec.structs.replace(state, playing=True, speed=speed, played=now)


def faster(state: ReplayState) -> ReplayState:
    """Take the next speed, after the last the first."""
    return msgspec.structs.replace(state, speed=SPEEDS[(SPEEDS.index(state.speed) + 1) % len(SPEEDS)])


def advanced(state: ReplayState, now: int) -> ReplayState:
    """Let time pass: a replay that plays wants a later moment, once what it wanted last is shown."""
    if not state.playing or state.refused:
        return state
    if not state.settled:
        # The server is behind. What passes meanwhile is not made up for: the replay does not jump.
        return msgspec.structs.replace(state, played=now)
    on = (now - state.played) * state.speed
    if on <= 0:
        return msgspec.structs.replace(state, played=now)
    return msgspec.structs.replace(moved(state, At(_time(state) + on)), played=now)


def shown(state: ReplayState, asked: Want, frame: Frame) -> ReplayState:
    """Take in the answer to what was `asked`: where the replay is now, and whether the server is still folding."""
    folding = None
    if frame.target is not None and frame.position < frame.target:
        way = frame.target - frame.first
        folding = max(0.0, min(1.0, (frame.position - frame.first) / way)) if way > 0 else 0.0
    return msgspec.structs.replace(
        state,
        at=frame.at,
        position=frame.position,
        first=frame.first,
        last=frame.last,
        folding=folding,
        settled=folding is None and asked == state.want,
        refused="",
    )


def declined(state: ReplayState, asked: Want, why: str) -> ReplayState:
    """Take in that what was asked cannot be shown; the replay stands."""
    if asked != state.want:
        return state
    return msgspec.structs.replace(state, refused=why, settled=True, playing=False, folding=None)


def is_over(state: ReplayState, now: int) -> bool:
    """Tell whether the replay has caught up with now."""
    return state.playing and isinstance(state.want, At) and state.want.at >= now


def _time(state: ReplayState) -> int:
    # Between two commits the wish is later than the commit that is shown; going on from there, it passes any gap.
    return state.want.at if isinstance(state.want, At) else state.at
