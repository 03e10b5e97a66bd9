"""Feeds in, pictures out, and what screens may ask for. Workers ask and listen; handlers own the state."""

import time
from collections.abc import Callable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from textual.app import App
from textual.filter import LineFilter, Monochrome
from textual.message import Message

from admin_tui.acting import Actor, Answered
from admin_tui.chrome.dialogs import Decided, Dialog
from admin_tui.commanding import Commander
from admin_tui.commands import RATES
from admin_tui.feed import Feed, Lost, Params, Refused, Unreachable
from admin_tui.filters import BadFilter, Filter
from admin_tui.listening import FrameArrived, Mailbox, listen
from admin_tui.model import Model
from admin_tui.picture import Picture
from admin_tui.replay import At, Position
from admin_tui.replaying import Replayed, Replayer
from admin_tui.screens.base import TopScreen
from admin_tui.text import inert
from admin_tui.themes import THEMES
from admin_tui.wire import SaleRow, WhoAmI
from cells.kernel.clock import Clock, SystemClock

T = TypeVar("T")
TICK_SECONDS: Final = 0.25
COALESCE_SECONDS: Final = 0.1
# What the server answers as of a moment; the log itself is the same at all times.
TRAVELLING: Final = ("/ops/frame", "/ops/sales", "/ops/orders", "/ops/holds", "/ops/rooms")
_SEVERITY: Final[dict[str, Literal["information", "warning", "error"]]] = {
    "information": "information",
    "warning": "warning",
    "error": "error",
}


class Identified(Message):
    """Whose key is used at a cell."""

    def __init__(self, cell: str, who: WhoAmI) -> None:
        super().__init__()
        self.cell = cell
        self.who = who


class Dashboard(App[None]):
    """The only owner of the model; screens get pictures of it."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        *,
        operate: bool = False,
        mono: bool = False,
        theme: str = "",
        clock: Clock | None = None,
        zone: tzinfo | None = None,
        exports: Path | None = None,
        new_key: Callable[[], str] | None = None,
    ) -> None:
        """`feeds`: one a cell, under different names. `exports`: the folder that files are written into."""
        super().__init__()
        self.mono = mono
        self.clock = clock or SystemClock()
        self.zone = zone
        self.exports = exports or Path.cwd()
        self.feeds = {feed.cell: feed for feed in feeds}
        self.model = Model([(feed.cell, feed.url) for feed in feeds], operate=operate)
        self.picture: Picture = self.model.picture(self.clock.now())
        self.frozen = False
        self.rate = RATES[0]
        self.mailbox = Mailbox()
        self.actor = Actor(self, new_key)
        self.replayer = Replayer(self)
        self.commander = Commander(self)
        self._asked_theme = theme
        self._painted = 0.0
        self._took = 0.0
        for each in THEMES:
            self.register_theme(each)

    # --- life ---

    def on_mount(self) -> None:
        self.theme = self._asked_theme or THEMES[0].name
        for cell, feed in self.feeds.items():
            self.run_worker(listen(feed, cell, self.mailbox, self), group="listen", exit_on_error=True)
            self._identify(cell)
        self.set_interval(TICK_SECONDS, self._tick)

    def _identify(self, cell: str) -> None:
        self.run_worker(self._whoami(cell), group=f"who-{cell}", exclusive=True)

    async def _whoami(self, cell: str) -> None:
        try:
            who = await self.feeds[cell].get("/ops/whoami", {}, WhoAmI)
        except (Refused, Unreachable):
            return  # the feed itself says that the cell is not heard, and this is asked again when it is
        self.post_message(Identified(cell, who))

    async def on_unmount(self) -> None:
        for feed in self.feeds.values():
            await feed.close()

    # --- what is heard ---

    def on_frame_arrived(self, _: FrameArrived) -> None:
        """Take what there is; of hundreds of cells not at every frame, but ten times a second."""
        waited = time.monotonic() - self._took
        if waited >= COALESCE_SECONDS:
            self._take()
        else:
            self.set_timer(COALESCE_SECONDS - waited, self._take)

    def _take(self) -> None:
        self._took = time.monotonic()
        states, frames = self.mailbox.take()
        now = self.clock.now()
        for cell, frame in frames.items():
            self.model.apply(cell, frame, now)
        for cell, state in states.items():
            if isinstance(state, Lost):
                self.model.lost(cell, state.why, now)
            else:
                self.model.regained(cell)
                self._identify(cell)

    def on_identified(self, message: Identified) -> None:
        self.model.identified(message.cell, message.who)

    def on_answered(self, message: Answered) -> None:
        self.actor.answered(message)

    def on_replayed(self, message: Replayed) -> None:
        self.replayer.took(message)

    # --- what is shown ---

    def _tick(self) -> None:
        """Move the clock in the banner; at the refresh rate, show a new picture."""
        now = self.clock.now()
        if self.replayer.is_on:
            self.replayer.tick(now)
        if self.frozen:
            return
        self._painted += TICK_SECONDS
        if self._painted >= self.rate:
            self._painted = 0.0
            self.paint()
        elif self.picture.replay is None:
            self._frame_screen(now)

    def _frame_screen(self, now: int) -> None:
        screen = self.visible_screen
        if screen is not None:
            screen.show_clock(now)

    def paint(self) -> None:
        """Take a picture and show it, on the visible screen only."""
        self.picture = self.model.picture(self.clock.now())
        screen = self.visible_screen
        if screen is not None:
            screen.paint(self.picture)

    @property
    def visible_screen(self) -> TopScreen | None:
        """The screen of the mode, under a dialog too; None before the first is there."""
        stack = self.screen_stack if self.is_running else []
        return next((each for each in stack if isinstance(each, TopScreen)), None)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without colours, everything goes through one more filter."""
        filters = super().get_line_filters()
        return [*filters, Monochrome()] if self.mono else filters

    # --- what screens ask for ---

    async def ask(self, path: str, params: Params, type_: type[T], *, cell: str = "") -> T:
        """Answer a question, as of the replay where there is one. Raises Refused or Unreachable."""
        asked = cell or self.model.selected
        if asked not in self.feeds:
            raise Unreachable(f"There is no cell {asked}.")
        state = self.model.replay
        if state is not None and path.startswith(TRAVELLING):
            same = asked == self.model.selected
            params = {**params, **(state.params if same else {"at": state.at})}
        return await self.feeds[asked].get(path, params, type_)

    def steer(self, cell: str, sale: SaleRow, what: str) -> None:
        """Do something to a sale."""
        self.actor.steer(cell, sale, what)

    def moderate(self, cell: str, room: str, what: str, body: dict[str, Any]) -> None:
        """Send a moderation to a room."""
        self.actor.moderate(cell, room, what, body)

    def retry(self, key: str) -> None:
        """Send an action once more."""
        self.actor.retry(key)

    def select_cell(self, cell: str) -> None:
        """Make a cell the one that screens about one cell show."""
        if cell in self.feeds and cell != self.model.selected:
            state = self.model.replay
            self.model.selected = cell
            if state is not None:
                # A position is one of a cell's own log; the time is everybody's.
                self.replayer.begin(At(state.at))
            self.paint()

    def go(self, mode: str, aim: str = "", pattern: Filter | None = None) -> None:
        """Show a mode, and in it what is aimed at."""
        self.call_next(self._go, mode, aim, pattern)

    async def _go(self, mode: str, aim: str, pattern: Filter | None) -> None:
        await self.switch_mode(mode)
        screen = self.visible_screen
        if screen is None:
            return
        try:
            if aim:
                screen.aim(aim)
            if pattern is not None:
                screen.pattern = pattern
        except BadFilter as error:
            self.tell(str(error), severity="error")

    def replay_at(self, *, at: int | None = None, position: int | None = None) -> None:
        """Show everything as of a time, or a position of the selected cell."""
        if position is not None:
            self.replayer.begin(Position(position))
        elif at is not None:
            self.replayer.begin(At(at))

    def tell(self, text: str, *, severity: str = "information") -> None:
        """Show a short message."""
        self.notify(inert(text), severity=_SEVERITY[severity], markup=False)

    def command(self, text: str) -> None:
        """Do what a command says, and tell what is wrong with it."""
        wrong = self.commander.run(text)
        if wrong:
            self.tell(wrong, severity="error")

    def complete(self, text: str) -> str | None:
        """Complete a command."""
        return self.commander.complete(text)

    # --- what commands and actions ask for ---

    def ask_operator(self, dialog: Dialog, then: Callable[[Decided | None], None]) -> None:
        """Show a dialog and go on with what was decided."""
        self.push_screen(dialog, then)

    def export(self, form: str, path: str = "") -> None:
        """Write the visible table into a file."""
        raise NotImplementedError

    def do(self, what: str) -> None:
        """Do one of the commands without an argument."""
        raise NotImplementedError
