"""What an operator has to know, the gravest first."""

from collections.abc import Sequence

from textual.content import Content

from admin_tui.picture import CellAlert
from admin_tui.text import inert
from admin_tui.widgets.drawn import Drawn
from admin_tui.widgets.figures import BAD, DIM, GOOD, WARN, clock

SIGNS = {"critical": ("✗", BAD), "warning": ("⚠", WARN)}


def ordered(alerts: Sequence[CellAlert]) -> list[CellAlert]:
    """Return the critical ones first, then by the time they began, the newest first."""
    return sorted(alerts, key=lambda each: (each.alert.severity != "critical", -each.alert.since))


def alert_line(each: CellAlert, *, cell: bool) -> Content:
    """Return one alert as a line; `cell`: with the name of the cell."""
    sign, style = SIGNS.get(each.alert.severity, ("?", DIM))
    name = Content.styled(inert(each.cell, 12) + " ", "bold") if cell else Content("")
    return Content.assemble(
        (f"{sign} ", style), (clock(each.alert.since)[:5] + " ", DIM), name, inert(each.alert.what, 80)
    )


class AlertList(Drawn):
    """As many alerts as there is room for, and how many there are beside them."""

    DEFAULT_CSS = """
    AlertList { height: 1fr; }
    """

    def show_alerts(self, alerts: Sequence[CellAlert], *, cells: int) -> None:
        """Show these; with one cell its name is left out."""
        if not alerts:
            self.show(Content.assemble(("✔ ", GOOD), ("nothing to report", DIM)))
            return
        room = max(1, self.size.height)
        kept = ordered(alerts)
        shown = [alert_line(each, cell=cells > 1) for each in kept[: room if len(kept) <= room else room - 1]]
        if len(kept) > len(shown):
            shown.append(Content.styled(f"  and {len(kept) - len(shown):,} more (F6)", DIM))
        self.show(Content("\n").join(shown))
