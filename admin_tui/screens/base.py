"""The frame around every screen: banner, breadcrumbs, body, prompt, key hints."""

from typing import ClassVar, cast

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Footer

from admin_tui.chrome.acts import Acts
from admin_tui.chrome.banner import Banner
from admin_tui.chrome.crumbs import Crumbs
from admin_tui.chrome.prompt import Prompt
from admin_tui.filters import Filter
from admin_tui.picture import Picture
from admin_tui.replay import Want
from admin_tui.shell import Shell, Table


class TopScreen(Screen[None]):
    """A mode of the dashboard. Subclasses say what is in the body and show pictures in it.

    `show` is called a few times a second while the screen is visible, and when it becomes so; it must not await.
    What `show` does not bring is asked for in workers (`await self.top.ask(...)`), which post messages.
    """

    MODE: ClassVar[str] = ""
    TITLE = ""
    AUTO_FOCUS = "#body *"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - declared by Textual
        (0, "-narrow"),
        (110, "-normal"),
        (160, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012 - as above
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back", show=False)]

    pattern: reactive[Filter] = reactive(Filter(), init=False)
    trail: reactive[tuple[str, ...]] = reactive((), init=False)

    def compose(self) -> ComposeResult:
        yield Banner(id="banner")
        yield Crumbs(id="crumbs")
        with Container(id="body"):
            yield from self.body()
        yield Acts(id="acts")
        yield Prompt(self.top.complete, id="prompt")
        yield Footer(show_command_palette=False)

    # --- what a subclass says ---

    def body(self) -> ComposeResult:
        """Yield the widgets between the breadcrumbs and the key hints (like `compose`)."""
        yield from ()

    def show(self, picture: Picture) -> None:
        """Show a picture."""

    def table(self) -> Table | None:
        """Return what `E` exports: the rows that are visible now."""
        return None

    def aim(self, at: str) -> None:
        """Show what a command named: an id, a word to filter by, or a pattern of subjects."""
        self.pattern = Filter.parse(at)

    def back(self) -> bool:
        """Leave a detail; False where there is none to leave."""
        return False

    # --- what a subclass has ---

    @property
    def top(self) -> Shell:
        """The shell around the screens."""
        return cast("Shell", self.app)

    @property
    def picture(self) -> Picture:
        """What was shown last."""
        return self.top.picture

    # --- the frame ---

    def on_screen_resume(self) -> None:
        self.paint(self.picture)

    def paint(self, picture: Picture) -> None:
        """Show a picture in the frame and in the body; not before there is a body."""
        if not self.is_mounted:
            return
        self.show_frame(picture)
        self.show(picture)

    def show_frame(self, picture: Picture) -> None:
        """Show a picture in the banner only."""
        if not self.is_mounted:
            return
        self.set_class(picture.replay is not None, "-replay")
        self.set_class(_is_stale(picture), "-stale")
        self.query_one(Banner).show(picture, frozen=self.top.frozen)
        self.query_one(Acts).show(picture)
        trail = (self.top_name(picture), str(self.TITLE), *self.trail)
        replaying = picture.replay is not None
        self.query_one(Crumbs).show(trail, str(self.pattern), self.MODE, replaying=replaying)

    def here(self) -> Want | None:
        """Return the moment that is selected, for a replay from here; None for the moment that is shown."""
        return None

    def show_clock(self, now: int) -> None:
        """Move the clock in the banner, between two pictures."""
        if self.is_mounted:
            self.query_one(Banner).show(msgspec.structs.replace(self.picture, at=now), frozen=self.top.frozen)

    def top_name(self, picture: Picture) -> str:
        """Return the first breadcrumb: the cell, or how many there are."""
        return picture.selected if len(picture.cells) == 1 else f"{len(picture.cells)} cells"

    def watch_pattern(self) -> None:
        self.paint(self.picture)

    def watch_trail(self) -> None:
        self.show_frame(self.picture)

    def action_back(self) -> None:
        """Leave the detail, else the filter, else the screen for the overview."""
        if self.back():
            return
        if self.pattern:
            self.pattern = Filter()
        elif self.MODE != "overview":
            self.top.go("overview")


def _is_stale(picture: Picture) -> bool:
    """Tell whether nothing on the screen is of now: no cell is heard."""
    return picture.replay is None and not any(cell.connected for cell in picture.cells)
