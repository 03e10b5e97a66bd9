"""`titan top --inline`: five lines under the prompt, for as long as it runs; plain lines where there is no terminal."""

import asyncio
import sys
from collections.abc import Sequence
from typing import ClassVar, Final

import click
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.filter import LineFilter, Monochrome
from textual.widgets import Static

from admin_tui.connect import feeds
from admin_tui.feed import Feed, Lost
from admin_tui.listening import FrameArrived, Mailbox, listen
from admin_tui.model import Model
from admin_tui.once import look
from admin_tui.status_lines import LINES, status_lines
from admin_tui.targets import Target
from cells.kernel.clock import Clock, SystemClock
from cells.trouble import EXIT_DONE

SHOW_SECONDS: Final = 0.5
PLAIN_SECONDS: Final = 5.0
PLAIN_WIDTH: Final = 160


class InlineApp(App[None]):
    """Five lines. Leaves on q or ctrl+c."""

    CSS = f"""
    Screen:inline {{ height: {LINES}; border: none; }}
    #status {{ height: {LINES}; text-wrap: nowrap; text-overflow: ellipsis; }}
    """
    ENABLE_COMMAND_PALETTE = False
    INLINE_PADDING = 0
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,ctrl+c", "quit", "Quit", priority=True)]

    def __init__(self, watched: Sequence[Feed], *, mono: bool = False, clock: Clock | None = None) -> None:
        super().__init__()
        self.mono = mono
        self.clock = clock or SystemClock()
        self.feeds = list(watched)
        self.model = Model([(feed.cell, feed.url) for feed in watched])
        self.mailbox = Mailbox()

    def compose(self) -> ComposeResult:
        yield Static(id="status", markup=False)

    def on_mount(self) -> None:
        for feed in self.feeds:
            self.run_worker(listen(feed, feed.cell, self.mailbox, self))
        self.set_interval(SHOW_SECONDS, self.show)
        self.show()

    def on_frame_arrived(self, _: FrameArrived) -> None:
        states, frames = self.mailbox.take()
        for cell, frame in frames.items():
            self.model.apply(cell, frame, self.clock.now())
        for cell, state in states.items():
            if isinstance(state, Lost):
                self.model.lost(cell, state.why, self.clock.now())
            else:
                self.model.regained(cell)

    def show(self) -> None:
        """Draw the five lines."""
        lines = status_lines(self.model.picture(self.clock.now()), self.size.width)
        self.query_one("#status", Static).update(Content("\n".join(lines)))

    async def on_unmount(self) -> None:
        for feed in self.feeds:
            await feed.close()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without colours, everything goes through one more filter."""
        filters = super().get_line_filters()
        return [*filters, Monochrome()] if self.mono else filters


def run_inline(found: Sequence[Target], *, mono: bool) -> int:
    """Show the lines until it is left."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        asyncio.run(_plain(found))
        return EXIT_DONE

    async def run() -> int:
        app = InlineApp(await feeds(found), mono=mono)
        await app.run_async(inline=True, inline_no_clear=True, mouse=False)
        return app.return_code or EXIT_DONE

    return asyncio.run(run())


async def _plain(found: Sequence[Target]) -> None:
    """Print the lines every few seconds, for a pipe or a log."""
    watched = await feeds(found)
    try:
        while True:
            picture = await look(watched, SystemClock())
            click.echo("\n".join(status_lines(picture, PLAIN_WIDTH)) + "\n")
            await asyncio.sleep(PLAIN_SECONDS)
    finally:
        await asyncio.gather(*(feed.close() for feed in watched))
