"""Where a replay stands and how it moves: time and position in the log, speed, and what is to be asked for next."""

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

    `folding`: the share of the way that the server has come, while it is still on its way. `played`: when the
    replay last moved by itself, by the clock of the one who plays it. `first` and `last` bound the log.
    """

    want: Want
    at: int = 0
    position: int = 0
    first: int = 0
    last: int = 0
    playing: bool = False
    speed: int = 1
    folding: float | None = None
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
    return ReplayState(want)


def shown(state: ReplayState, frame: Frame) -> ReplayState:
    """Take in an answer: where the replay is now, and whether the server is still folding towards it."""
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
        refused="",
    )
