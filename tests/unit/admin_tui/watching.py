"""A dashboard with its own screens, driven until there is something to see in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from admin_tui.app import TopApp
from admin_tui.widgets.keyed_table import KeyedTable
from tests.unit.admin_tui.driving import Driven, driven

SIZES = ((80, 24), (120, 40))
KEYS = {
    "overview": "f1",
    "sales": "f2",
    "orders": "f3",
    "chat": "f4",
    "log": "f5",
    "health": "f6",
    "cell": "f7",
    "help": "question_mark",
}
FILLED = {
    "overview": "#sale-rows",
    "sales": "#rows",
    "orders": "#orders",
    "chat": "#said-rows",
    "log": "#rows",
    "health": "#check-rows",
    "cell": "#line-rows",
}


class Watched(Driven):
    """Hands on the screens themselves."""

    def table(self, selector: str) -> KeyedTable:
        """A table of the visible screen."""
        return self.app.visible_screen.query_one(selector, KeyedTable)

    def text(self, selector: str) -> str:
        """What a piece of the visible screen says."""
        return str(self.app.visible_screen.query_one(selector).content)

    @property
    def seen(self) -> str:
        """Everything that is on the screen, line by line."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join(line.text for line in lines)

    async def show(self, mode: str) -> None:
        """Go to a mode and wait until its table has rows."""
        await self.press(KEYS[mode])
        await self.until(lambda: self.app.current_mode == mode and self.screen_is_up)
        if mode in FILLED:
            await self.until(lambda: bool(self.table(FILLED[mode]).keys))
        await self.quiet()

    @property
    def screen_is_up(self) -> bool:
        """Whether the screen of the mode has its widgets."""
        screen = self.app.visible_screen
        return screen is not None and screen.is_mounted

    async def quiet(self) -> None:
        """Wait until all that was asked for has been answered and shown."""
        listening = {"listen"}
        await self.until(
            lambda: (
                not [
                    each for each in self.app.workers if each.group not in listening and not each.is_finished
                ]
            )
        )
        model = self.app.model
        if model.replay is None:
            now = self.clock.now()
            await self.until(
                lambda: all(not cell.connected or cell.frame.at == now for cell in model.picture(now).cells)
            )
        self.app.paint()
        if self.app.current_mode == "overview":
            # Of many cells the parts take turns, and their sums go on; what is compared has to be of one picture.
            for each in self.app.visible_screen._series.values():
                each._points = []
            self.app.visible_screen._show_all(self.app.picture)
        await self.pilot.pause()

    async def beats(self, n: int) -> None:
        """Let seconds pass."""
        for _ in range(n):
            await self.beat()


@asynccontextmanager
async def watched(**how) -> AsyncIterator[Watched]:
    """Run the dashboard with its own screens."""
    async with driven(app_type=TopApp, **how) as run:
        seen = Watched(run.app, run.feeds, run.clock, run.pilot)
        await seen.until(lambda: seen.screen_is_up)
        await seen.quiet()
        yield seen
