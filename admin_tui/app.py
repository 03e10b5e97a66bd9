"""`titan top` as an app: its keys, the line that commands and filters are typed into, files that it writes."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input, TextArea

from admin_tui import exporting, replay
from admin_tui.chrome.prompt import Prompt
from admin_tui.commands import RATES
from admin_tui.dashboard import Dashboard
from admin_tui.filters import BadFilter
from admin_tui.keys import MODE_KEYS
from admin_tui.modes import MODES
from admin_tui.palette import TopCommands
from admin_tui.replay import Position
from admin_tui.screens.base import TopScreen


class TopApp(Dashboard):
    """The dashboard with its modes."""

    TITLE = "titan top"
    CSS_PATH = Path(__file__).with_name("titan.tcss")
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {TopCommands}  # noqa: RUF012 - as Textual declares it
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = dict(MODES)
    DEFAULT_MODE = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(key, f"go('{mode}')", mode.capitalize(), show=False) for mode, key in MODE_KEYS.items()],
        Binding("f8", "replay_here", "Replay", show=False),
        Binding("question_mark", "go('help')", "Help", key_display="?"),
        # With priority, so that what is typed right behind it comes after it, and is not taken for keys of the screen.
        Binding("colon", "prompt(':')", "Command", key_display=":", priority=True),
        Binding("slash", "prompt('/')", "Filter", key_display="/", priority=True),
        Binding("P,ctrl+s", "freeze", "Freeze", key_display="P"),
        Binding("r", "rate", "Rate"),
        Binding("R", "replay_here", "Replay", key_display="R"),
        Binding("E", "export", "Export", key_display="E"),
        Binding("ctrl+e", "shot", "Screenshot", show=False),
        Binding("y", "retry", "Retry", show=False),
        Binding("q", "quit", "Quit"),
        Binding("left", "step(-1)", "Back", show=False, priority=True),
        Binding("right", "step(1)", "On", show=False, priority=True),
        Binding("shift+left", "skip(-10)", "-10 s", show=False, priority=True),
        Binding("shift+right", "skip(10)", "+10 s", show=False, priority=True),
        Binding("space", "play", "Play", show=False, priority=True),
        Binding("x", "speed", "Speed", show=False, priority=True),
        Binding("end", "live", "Live", show=False, priority=True),
    ]
    NOT_TYPING: ClassVar[frozenset[str]] = frozenset({"step", "skip", "play", "speed", "live", "prompt"})

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Keys with priority are letters while something is typed or asked; those of a replay work only in one."""
        if action not in self.NOT_TYPING:
            return True
        typing = isinstance(self.focused, Input | TextArea)
        return (
            not typing and isinstance(self.screen, TopScreen) and (action == "prompt" or self.replayer.is_on)
        )

    # --- modes ---

    def action_go(self, mode: str) -> None:
        self.go(mode)

    # --- the prompt ---

    def action_prompt(self, sign: str) -> None:
        screen = self.screen
        if isinstance(screen, TopScreen):
            screen.query_one(Prompt).open(sign, str(screen.pattern) if sign == "/" else "")

    @on(Prompt.Commanded)
    def _commanded(self, event: Prompt.Commanded) -> None:
        prompt = self._prompt()
        wrong = self.commander.run(event.text) if event.text.strip() else ""
        if prompt is None:
            return
        if wrong:
            prompt.wrong(wrong)
        else:
            prompt.close()

    @on(Prompt.Filtered)
    def _filtered(self, event: Prompt.Filtered) -> None:
        prompt = self._prompt()
        try:
            self.commander.narrow(event.text)
        except BadFilter as error:
            if prompt is not None:
                prompt.wrong(str(error))
            return
        if event.done and prompt is not None:
            prompt.close()

    @on(Prompt.Cancelled)
    def _cancelled(self, event: Prompt.Cancelled) -> None:
        if event.sign == "/":
            self.commander.narrow(event.before)

    def _prompt(self) -> Prompt | None:
        screen = self.visible_screen
        return None if screen is None else screen.query_one(Prompt)

    # --- refresh ---

    def action_freeze(self) -> None:
        self.frozen = not self.frozen
        screen = self.visible_screen
        if self.frozen and screen is not None:
            screen.show_frame(self.picture)
        elif not self.frozen:
            self.paint()

    def action_rate(self) -> None:
        faster = [each for each in RATES if each > self.rate]
        self.rate = faster[0] if faster else RATES[0]
        self.tell(f"Refreshed every {self.rate:g} s.")

    # --- replay ---

    def action_replay_here(self) -> None:
        if self.model.replay is not None:
            return
        screen = self.visible_screen
        here = None if screen is None else screen.here()
        focus = self.picture.focus
        if here is None and focus is not None and focus.frame is not None:
            here = Position(focus.frame.position)
        if here is None:
            self.tell("There is nothing to replay: the cell has not been heard yet.", severity="warning")
        else:
            self.replayer.begin(here)

    def action_step(self, commits: int) -> None:
        self._change(lambda state: replay.stepped(state, commits))

    def action_skip(self, seconds: int) -> None:
        self._change(lambda state: replay.skipped(state, 1000 * seconds))

    def action_play(self) -> None:
        self._change(lambda state: replay.toggled(state, self.clock.now()))

    def action_speed(self) -> None:
        self._change(replay.faster)

    def action_live(self) -> None:
        self.replayer.end()

    def _change(self, change: Callable[[replay.ReplayState], replay.ReplayState]) -> None:
        if self.model.replay is not None:
            self.replayer.change(change(self.model.replay))

    # --- actions ---

    def action_retry(self) -> None:
        self.actor.retry_newest()

    # --- files ---

    def action_export(self) -> None:
        self.export("csv")

    def action_shot(self) -> None:
        name = exporting.file_name(self.current_mode, "svg", self.clock.now())
        self._deliver(self.export_screenshot(), self.exports, name, "svg")

    def export(self, form: str, path: str = "") -> None:
        """Write the visible table into a file; through the browser where the dashboard is served."""
        screen = self.visible_screen
        table = None if screen is None else screen.table()
        if table is None:
            self.tell("There is no table on this screen.", severity="warning")
            return
        name = exporting.file_name(table.name, form, self.clock.now())
        target = Path(path).expanduser() if path else self.exports / name
        self._deliver(exporting.written(table, form), target.parent, target.name, form)

    def _deliver(self, text: str, folder: Path, name: str, form: str) -> None:
        if self.is_web:
            self.deliver_text(io.StringIO(text), save_filename=name, mime_type=exporting.MIME[form])
            return
        try:
            path = exporting.save(folder, name, text)
        except OSError as error:
            self.tell(f"The file cannot be written: {error}", severity="error")
        else:
            self.tell(f"Written: {path}")

    # --- commands without an argument ---

    def do(self, what: str) -> None:
        """Do one of the commands without an argument."""
        match what:
            case "freeze":
                self.action_freeze()
            case "mono":
                self.mono = not self.mono
                self.refresh_css(animate=False)
            case "shot":
                self.action_shot()
            case _:
                self.exit()
