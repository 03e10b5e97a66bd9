"""The log as it was: one board that follows it, and a few that are taken to any moment of it.

A replay begins at the nearest snapshot and folds forward. It answers in time even when it has not got there: the
board is then on its way, and the next question takes it further.
"""

import asyncio
import contextlib
import zlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from cells.kernel import envelope
from cells.kernel.errors import Rejected
from cells.log import subjects
from cells.log.port import Log, LogUnavailable, Stored
from server.ops.board import Board, is_time
from server.ops.past import SNAPSHOT_COMMITS, SNAPSHOT_EVENTS, Snapshot, Snapshots, Timeline
from server.ops.reading import Registries

SLICE_BYTES: Final = 96 << 10
"""Bytes of commits that are folded in one go, some milliseconds' worth; then the loop turns."""

PACE_SECONDS: Final = 0.05
"""Between two looks at the end of the log: asking for each commit alone would cost more than folding it."""

FULL: Final = 128
"""Commits at once behind which more are waiting."""

ANSWER_SECONDS: Final = 0.8
MAX_REPLAYS: Final = 3
"""Boards of the past at once. Full policy: the one that was asked for longest ago leaves."""

IDLE_SECONDS: Final = 60.0
RETRY_MS: Final = 500

_LEVEL: Final = 1


def slices(batch: list[Stored]) -> list[list[Stored]]:
    """Return a batch in pieces that are folded in some milliseconds each; one commit is never cut."""
    found: list[list[Stored]] = []
    size = SLICE_BYTES
    for stored in batch:
        if size >= SLICE_BYTES:
            found.append([])
            size = 0
        found[-1].append(stored)
        size += len(stored.body)
    return found


class History:
    """The board that follows the log, and what of its past is kept to come back to."""

    def __init__(self, log: Log, registries: Registries, first: int = 1) -> None:
        """`first` is the log's first position."""
        self.board = Board(registries)
        self.board.state.position = first - 1
        self.snapshots = Snapshots()
        self.timeline = Timeline()
        self.complete = False
        self._log = log
        self._registries = registries
        self._first = first
        self._taken = 0, 0
        self._grown = asyncio.Event()

    async def follow(self, changed: Callable[[], None]) -> None:
        """Fold the log for ever; `changed` is called after every piece. Raises `LogUnavailable`.

        May be called again after a failure, and goes on from where it was.
        """
        async with contextlib.aclosing(_read(self._log, self.board.position)) as batches:
            async for batch in batches:
                await self._take(batch, changed)
        self.complete = True
        async with contextlib.aclosing(_tail(self._log, self.board.position)) as batches:
            async for batch in batches:
                await self._take(batch, changed)
                if len(batch) < FULL:
                    await asyncio.sleep(PACE_SECONDS)

    async def _take(self, batch: list[Stored], changed: Callable[[], None]) -> None:
        for piece in slices(batch):
            self.board.apply(piece)
            self.timeline.note(self.board.position, self.board.at)
            self._grown.set()
            changed()
            await asyncio.sleep(0)
        if self._due():
            position, raw = self.board.position, self.board.snapshot()
            self.snapshots.add(Snapshot(position, await asyncio.to_thread(zlib.compress, raw, _LEVEL)))

    def _due(self) -> bool:
        """Tell whether it is time for a snapshot: one of a large board has to be worth its while."""
        state = self.board.state
        events, commits = state.events - self._taken[0], state.commits - self._taken[1]
        size = len(state.holds)
        due = events >= max(SNAPSHOT_EVENTS, size) or commits >= max(SNAPSHOT_COMMITS, size // 4)
        if due:
            self._taken = state.events, state.commits
        return due

    async def catch_up(self, seconds: float) -> None:
        """Let the board get to where the log ends as of now, as far as it comes in that time."""
        with contextlib.suppress(TimeoutError, LogUnavailable):
            async with asyncio.timeout(seconds):
                info = await self._log.info()
                while info is not None and self.board.position < info.last:
                    self._grown.clear()
                    await self._grown.wait()

    def begin(self, position: int) -> Board:
        """Return a board of its own, at the nearest moment before a position that can be had at once."""
        snapshot = self.snapshots.nearest(position)
        if snapshot is None:
            board = Board(self._registries)
            board.state.position = self._first - 1
            return board
        return Board.restore(self._registries, zlib.decompress(snapshot.packed))

    async def position_at(self, at: int) -> int:
        """Return the last position before any commit that is later than a time.

        Raises `Rejected` (unavailable) while that is not known, `LogUnavailable`.
        """
        low, high = self.timeline.bracket(at)
        if high is None:
            if not self.complete:
                detail = f"The observer still reads the log; it is at {self.board.position}."
                raise Rejected("unavailable", detail, retry_after_ms=RETRY_MS)
            high = self.board.position
        async with contextlib.aclosing(_read(self._log, max(low, self._first - 1))) as batches:
            async for batch in batches:
                for stored in batch:
                    position: int = stored.position
                    if position > high:
                        return high
                    if _time(stored) > at:
                        return position - 1
        return high


class _Replay:
    def __init__(self, board: Board, target: int) -> None:
        self.board = board
        self.target = target
        self.used = 0.0
        self.moving = asyncio.Lock()


class Replays:
    """Boards of the past. Any number of operators share a few of them."""

    def __init__(self, log: Log, history: History, monotonic: Callable[[], float]) -> None:
        """`monotonic` answers seconds that only go forward."""
        self._log = log
        self._history = history
        self._monotonic = monotonic
        self._open: list[_Replay] = []

    def __len__(self) -> int:
        return len(self._open)

    async def reach(self, position: int, seconds: float = ANSWER_SECONDS) -> Board:
        """Return a board as of a position, or as far on its way there as it came in time.

        It has to be read before anything else is awaited: another question may take it further then.
        Raises `LogUnavailable`.
        """
        replay = self._choose(position)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    async with replay.moving:
                        if replay.board.position <= position:
                            await self._fold(replay.board, position)
                            break
                    replay = self._choose(position)
        return replay.board if replay.board.position <= position else self._history.begin(position)

    def sweep(self) -> None:
        """Let go of what nobody has asked for lately."""
        now = self._monotonic()
        self._open = [each for each in self._open if now - each.used < IDLE_SECONDS]

    def _choose(self, position: int) -> _Replay:
        """Take the replay that is nearest, or begin one where a snapshot is nearer still."""
        chosen = max(
            (
                each
                for each in self._open
                if each.board.position <= position and (each.target == position or not each.moving.locked())
            ),
            key=lambda each: (each.target == position, each.board.position),
            default=None,
        )
        snapshot = self._history.snapshots.nearest(position)
        start = snapshot.position if snapshot else 0
        if chosen is None or (chosen.target != position and start > chosen.board.position):
            chosen = _Replay(self._history.begin(position), position)
            self._open.append(chosen)
        chosen.target, chosen.used = position, self._monotonic()
        if len(self._open) > MAX_REPLAYS:
            self._open.remove(min(self._open, key=lambda each: each.used))
        return chosen

    async def _fold(self, board: Board, position: int) -> None:
        if board.position == position:
            return
        async with contextlib.aclosing(_read(self._log, board.position)) as batches:
            async for batch in batches:
                for piece in slices([each for each in batch if each.position <= position]):
                    board.apply(piece)
                    await asyncio.sleep(0)
                if batch[-1].position >= position:
                    return


def _time(stored: Stored) -> int:
    """Return the time of a commit; 0 where it has none that counts."""
    try:
        at = envelope.peek(stored.body).at
    except msgspec.MsgspecError:
        return 0
    return at if is_time(at) else 0


# The port promises async iterators; both adapters are generators, which have to be closed.


def _read(log: Log, after: int) -> Any:
    return log.read(subjects.EVERYTHING, after)


def _tail(log: Log, after: int) -> Any:
    return log.tail(subjects.EVERYTHING, after)
