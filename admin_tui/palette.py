"""The command palette: modes, cells, sales, themes and everything behind `:`, found by a few letters."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape

from admin_tui.commands import USAGE
from admin_tui.shell import Shell
from admin_tui.text import inert

MAX_SALES = 200
# Commands that do something without an argument.
ALONE = ("overview", "sales", "orders", "chat", "log", "health", "cell", "help", "live", "freeze", "mono")
ACTS = (*ALONE, "shot", "quit")


class Offer(NamedTuple):
    """Something that can be chosen: what is shown, a line about it, and the command that it stands for."""

    label: str
    about: str
    command: str


class TopCommands(Provider):
    """Everything that the dashboard can do now."""

    @property
    def _shell(self) -> Shell:
        return cast("Shell", self.app)

    def _offers(self) -> Iterator[Offer]:
        for name in ACTS:
            yield Offer(name, USAGE[name][1], name)
        for form in ("csv", "json"):
            yield Offer(f"export {form}", "the visible table into a file", f"export {form}")
        for speed in (1, 10, 60):
            yield Offer(f"speed ×{speed}", "play the replay", f"speed {speed}")
        for minutes in (1, 5, 30):
            yield Offer(f"replay, {minutes} min ago", "everything as it was", f"at -{minutes}m")
        for theme in self.app.available_themes:
            yield Offer(f"theme {theme}", "other colours", f"theme {theme}")
        picture = self._shell.picture
        for cell in picture.cells:
            yield Offer(f"cell {inert(cell.id, 30)}", cell.state, f"cell {cell.id}")
        for each in picture.sales[:MAX_SALES]:
            yield Offer(
                f"sale {inert(each.sale.title, 50)}",
                f"{each.sale.id}, {each.sale.state}",
                f"sale {each.sale.id}",
            )

    async def discover(self) -> Hits:
        """Offer what is there before anything is typed."""
        for offer in self._offers():
            if offer.command in ACTS:
                run = partial(self._shell.command, offer.command)
                yield DiscoveryHit(Content(offer.label), run, offer.label, escape(offer.about))

    async def search(self, query: str) -> Hits:
        """Offer what the letters fit. The palette reads strings as markup, so it gets `Content` and escaped text."""
        matcher = self.matcher(query)
        for offer in self._offers():
            score, offsets = matcher.fuzzy_search.match(query, offer.label)
            if score > 0:
                shown = Content(offer.label)
                for offset in offsets:
                    shown = shown.stylize(matcher.match_style, offset, offset + 1)
                run = partial(self._shell.command, offer.command)
                yield Hit(score, shown, run, offer.label, escape(offer.about))
