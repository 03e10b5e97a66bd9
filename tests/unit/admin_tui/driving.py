"""A dashboard over simulated cells, driven by keys; and screens that know nothing but the frame around them."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path

from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input, Static

from admin_tui.app import TopApp
from admin_tui.chrome.banner import Banner
from admin_tui.picture import Picture
from admin_tui.replay import ReplayState, Want
from admin_tui.screens.base import TopScreen
from admin_tui.shell import Table
from admin_tui.simulated import SimulatedFeed
from admin_tui.wire import Frame, SaleRow
from cells.kernel.clock import ManualClock

DEADLINE_SECONDS = 10.0


class PlainScreen(TopScreen):
    """Shows how many sales there are, and has a table of them."""

    MODE = "overview"
    TITLE = "Plain"
    moment: Want | None = None
    shown = 0
    aimed = ""

    def body(self) -> ComposeResult:
        yield Static("", id="text", markup=False)

    def show(self, picture: Picture) -> None:
        self.shown += 1
        self.query_one("#text", Static).update(f"{picture.totals.sales} sales")

    def table(self) -> Table:
        rows = [
            (each.sale.id, each.sale.title, each.sale.stock)
            for each in self.picture.sales
            if self.pattern.matches(each.sale.id, each.sale.title)
        ]
        return Table("sales", ("id", "title", "stock"), rows)

    def here(self) -> Want | None:
        return self.moment


class OtherScreen(PlainScreen):
    """Another mode; has no table, and remembers what it was aimed at."""

    MODE = "sales"
    TITLE = "Other"

    def table(self) -> None:  # type: ignore[override]  # the only one without
        return None

    def aim(self, at: str) -> None:
        self.aimed = at


class PlainApp(TopApp):
    """The shell with these screens in it."""

    MODES = TopApp.MODES | {"overview": PlainScreen, "sales": OtherScreen, "health": OtherScreen}


class Driven:
    """A running dashboard, its feeds, and hands on its keys."""

    def __init__(
        self, app: TopApp, feeds: list[SimulatedFeed], clock: ManualClock, pilot: Pilot[None]
    ) -> None:
        self.app = app
        self.feeds = feeds
        self.feed = feeds[0]
        self.clock = clock
        self.pilot = pilot

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; fails after a while."""
        ends = time.monotonic() + DEADLINE_SECONDS
        while not holds():
            assert time.monotonic() < ends, f"it has not come about: {self.banner} {self.notices}"
            await self.pilot.pause(0.02)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        names = {" ": "space", ":": "colon", "/": "slash", ".": "full_stop", "-": "minus", "_": "underscore"}
        await self.pilot.press(*[names.get(each, each) for each in text])

    async def command(self, text: str) -> None:
        await self.press("colon")
        await self.type(text)
        await self.press("enter")

    async def beat(self, milliseconds: int = 1000) -> None:
        """Let time pass and a frame come from each cell."""
        now = self.clock.advance(milliseconds)
        for feed in self.feeds:
            feed.beat()
        await self.until(lambda: self.app.picture.at >= now or self.app.model.replay is not None)

    @property
    def screen(self) -> PlainScreen:
        screen = self.app.visible_screen
        assert isinstance(screen, PlainScreen)
        return screen

    @property
    def banner(self) -> str:
        screen = self.app.visible_screen
        return "" if screen is None else str(screen.query_one(Banner).content)

    @property
    def notices(self) -> list[str]:
        return [str(each.message) for each in self.app._notifications]

    @property
    def frame(self) -> Frame:
        """The frame of the selected cell, as it is shown."""
        focus = self.app.picture.focus
        assert focus is not None
        assert focus.frame is not None
        return focus.frame

    @property
    def frames(self) -> list[Frame]:
        """The frames of all cells that have one, as they are shown."""
        return [cell.frame for cell in self.app.picture.cells if cell.frame is not None]

    @property
    def replay(self) -> ReplayState:
        assert self.app.model.replay is not None
        return self.app.model.replay

    def text(self, selector: str) -> str:
        """What a label or a line of the active screen says."""
        return str(self.app.screen.query_one(selector, Static).content)

    def input(self, selector: str = "#typed") -> Input:
        return self.app.screen.query_one(selector, Input)

    def sale(self, state: str) -> SaleRow:
        """A sale in a state, as it is shown."""
        return next(each.sale for each in self.app.picture.sales if each.sale.state == state)


@asynccontextmanager
async def driven(
    *,
    cells: int = 1,
    operate: bool = True,
    role: str = "operator",
    size: tuple[int, int] = (120, 30),
    exports: Path | None = None,
    mono: bool = False,
    app_type: type[TopApp] = PlainApp,
) -> AsyncIterator[Driven]:
    """Run a dashboard until its cells are heard."""
    clock = ManualClock()
    feeds = [SimulatedFeed(clock, cell=f"c{n}", number=n, role=role) for n in range(1, cells + 1)]
    made = iter(range(1, 1000))
    app = app_type(
        feeds,
        operate=operate,
        mono=mono,
        clock=clock,
        zone=UTC,
        exports=exports,
        new_key=lambda: f"key-{next(made)}",
    )
    async with app.run_test(size=size) as pilot:
        run = Driven(app, feeds, clock, pilot)
        await run.until(lambda: all(cell.connected and cell.role for cell in app.picture.cells))
        yield run
