"""The shell of the replay: asks for frames of the past, a few times a second, and hands them on as messages."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from textual.message import Message

from admin_tui import replay
from admin_tui.feed import Feed, Refused, Unreachable
from admin_tui.model import Model
from admin_tui.replay import At, ReplayState, Want
from admin_tui.wire import Frame

AT_ONCE: Final = 8


class Replayed(Message):
    """The answer of one cell to a question about the past; without a frame, `why` there is none."""

    def __init__(self, cell: str, asked: Want, frame: Frame | None, why: str = "") -> None:
        super().__init__()
        self.cell = cell
        self.asked = asked
        self.frame = frame
        self.why = why


class Host(Protocol):
    """What the replay needs of the app."""

    model: Model
    feeds: dict[str, Feed]

    def run_worker(self, work: Coroutine[Any, Any, None], *, group: str) -> Any: ...

    def post_message(self, message: Message) -> bool: ...

    def tell(self, text: str, *, severity: str = "information") -> None: ...

    def paint(self) -> None: ...


class Replayer:
    """Moves the replay of the model. The selected cell leads; the others are shown as of its time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._asking: set[str] = set()
        self._shown: dict[str, Want] = {}
        self._limit = asyncio.Semaphore(AT_ONCE)

    @property
    def is_on(self) -> bool:
        """Whether the past is shown."""
        return self._host.model.replay is not None

    def begin(self, want: Want) -> None:
        """Show everything as of a moment; from a replay, go there."""
        state = self._host.model.replay
        self._become(replay.begin(want) if state is None else replay.moved(state, want))

    def change(self, state: ReplayState) -> None:
        """Go on with a changed replay."""
        self._become(state)

    def end(self) -> None:
        """Back to now."""
        if self.is_on:
            self._shown.clear()
            self._host.model.forget_replay()
            self._host.paint()

    def tick(self, now: int) -> None:
        """Let time pass, and ask for what is not there yet."""
        state = self._host.model.replay
        if state is None:
            return
        state = self._host.model.replay = replay.advanced(state, now)
        if replay.is_over(state, now):
            self.end()
            self._host.tell("The replay has caught up: this is now.")
            return
        self._ask(state)

    def took(self, answer: Replayed) -> None:
        """Take an answer in."""
        self._asking.discard(answer.cell)
        model = self._host.model
        if model.replay is None:
            return
        leads = answer.cell == model.selected
        if answer.frame is None:
            if leads:
                model.replay = replay.declined(model.replay, answer.asked, answer.why)
            else:
                self._shown[answer.cell] = answer.asked
            return
        model.replayed(answer.cell, answer.frame)
        if leads:
            model.replay = replay.shown(model.replay, answer.asked, answer.frame)
        if answer.frame.target is None or answer.frame.position >= answer.frame.target:
            self._shown[answer.cell] = answer.asked
        self._ask(model.replay)

    def _become(self, state: ReplayState) -> None:
        self._host.model.replay = state
        self._ask(state)
        self._host.paint()

    def _ask(self, state: ReplayState) -> None:
        for cell, feed in self._host.feeds.items():
            want = self._wanted(cell, state)
            if want is not None and cell not in self._asking:
                self._asking.add(cell)
                self._host.run_worker(self._fetch(cell, feed, want), group="replay")

    def _wanted(self, cell: str, state: ReplayState) -> Want | None:
        """What is to be asked of a cell; None where it has been answered, or cannot be asked yet."""
        if cell == self._host.model.selected:
            return None if state.settled else state.want
        want = At(state.at)
        return want if state.at and self._shown.get(cell) != want else None

    async def _fetch(self, cell: str, feed: Feed, want: Want) -> None:
        params = replay.begin(want).params
        try:
            async with self._limit:
                frame = await feed.get("/ops/frame", params, Frame)
        except (Refused, Unreachable) as error:
            self._host.post_message(Replayed(cell, want, None, str(error)))
        else:
            self._host.post_message(Replayed(cell, want, frame))
