"""The line on top: which cell, what time it is there, what counts, what is wrong, and whether anything can be changed."""

from typing import Final, NamedTuple

from textual.content import Content
from textual.widgets import Static

from admin_tui.picture import Picture
from admin_tui.replay import ReplayState
from admin_tui.text import inert
from admin_tui.widgets import figures

BAR: Final = 10


class Part(NamedTuple):
    """A part of the line. Where there is no room, the highest `rank` goes first; rank 0 stays."""

    rank: int
    content: Content


class Banner(Static):
    """One line; loud in a replay and when nothing is heard."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._picture: Picture | None = None
        self._frozen = False

    def show(self, picture: Picture, *, frozen: bool = False) -> None:
        """Show a picture; draws only what changed."""
        self._picture, self._frozen = picture, frozen
        line = banner(picture, self.size.width or self.app.size.width, frozen=frozen)
        if line != self.content:
            self.update(line, layout=False)

    def on_resize(self) -> None:
        if self._picture is not None:
            self.show(self._picture, frozen=self._frozen)


def banner(picture: Picture, width: int, *, frozen: bool = False) -> Content:
    """Return the line for a width."""
    parts = _replayed(picture, picture.replay) if picture.replay is not None else _live(picture)
    if frozen:
        parts.insert(0, Part(0, Content.styled(" FROZEN, P goes on ", "bold reverse")))
    return fitted(parts, width)


def fitted(parts: list[Part], width: int) -> Content:
    """Join what has room, in its order; what matters least is left out first."""
    separator = Content.styled(" │ ", "dim")
    kept = list(parts)
    while True:
        line = separator.join([part.content for part in kept])
        if line.cell_length + 2 <= width or not any(part.rank for part in kept):
            return Content.assemble(" ", line)
        least = max(kept, key=lambda part: part.rank)
        kept.remove(least)


def _name(picture: Picture) -> Content:
    name = picture.selected if len(picture.cells) == 1 else f"{len(picture.cells)} cells"
    return Content.assemble(("TITAN", "bold"), " ▸ ", (inert(name, 16), "bold"))


def _live(picture: Picture) -> list[Part]:
    totals = picture.totals
    return [
        Part(0, _name(picture)),
        Part(0, _connection(picture)),
        Part(3, Content.assemble((f"{totals.open:,}", "bold"), " open")),
        Part(4, Content.assemble((f"{_rate(picture, 'orders'):,.0f}", "bold"), " orders/s")),
        Part(6, Content.assemble("p99 ", (str(figures.duration(_p99(picture))), "bold"))),
        Part(2, _oversold(totals.oversold + totals.duplicate_units)),
        Part(7, Content.assemble((f"{totals.sockets:,}", "bold"), " sockets")),
        Part(0, _alerts(len(picture.alerts))),
        Part(1, _rights(picture)),
    ]


def _connection(picture: Picture) -> Content:
    away = [cell for cell in picture.cells if not cell.connected and cell.lost_since is not None]
    waiting = [cell for cell in picture.cells if not cell.connected and cell.lost_since is None]
    if away and len(away) == len(picture.cells):
        since = min(cell.lost_since or picture.at for cell in away)
        word = f" LOST {figures.span(picture.at - since)}: {inert(away[0].why, 36)} "
        return Content.styled(word, "bold $text-error on $error-muted")
    if len(waiting) == len(picture.cells):
        return Content.styled(" CONNECTING ", "bold reverse")
    clock = Content.assemble(
        ("LIVE", "bold $success"), f" {figures.clock(picture.at)}.{picture.at % 1000 // 100}"
    )
    if away:
        return Content.assemble(clock, " ", (f"{len(away)} lost", "bold $error"))
    return clock


def _oversold(units: int) -> Content:
    return Content.styled(f"oversold {units}", "bold reverse $error" if units else "")


def _alerts(n: int) -> Content:
    return Content.styled(f"⚠ {n}", "bold $warning" if n else "dim")


def _rights(picture: Picture) -> Content:
    if picture.operate and not picture.why_not:
        return Content.styled("[OPERATE]", "bold $warning")
    return Content.styled("[read-only]", "dim")


def _rate(picture: Picture, name: str) -> float:
    return sum(cell.values.get(name, 0.0) for cell in picture.cells)


def _p99(picture: Picture) -> float:
    return max((cell.metric("p99") for cell in picture.cells), default=0.0)


def _replayed(picture: Picture, replay: ReplayState) -> list[Part]:
    speed = Content.styled(f"▶ ×{replay.speed}" if replay.playing else "‖ stands", "bold")
    parts = [
        Part(0, Content.styled(" REPLAY ", "bold reverse")),
        Part(6, _name(picture)),
        Part(0, Content.styled(f"{figures.day(replay.at)}.{replay.at % 1000:03}", "bold")),
        Part(2, Content(f"position {replay.position:,} of {replay.last:,}")),
        Part(1, speed),
    ]
    if replay.folding is not None:
        done = round(replay.folding * BAR)
        parts.append(Part(1, Content(f"folding {'█' * done}{'░' * (BAR - done)} {replay.folding:.0%}")))
    if replay.refused:
        parts.append(Part(1, Content.styled(inert(replay.refused, 60), "bold")))
    lost = [cell for cell in picture.cells if not cell.connected]
    if lost:
        parts.append(Part(3, Content.styled(f"{len(lost)} not heard", "bold")))
    parts.append(Part(5, Content("no actions")))
    parts.append(Part(4, Content("End: live")))
    return parts
