"""What commands and filters do, once they are read."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, Protocol, assert_never

from admin_tui import commands, replay, trade
from admin_tui.commands import BadCommand, Command
from admin_tui.filters import BadFilter, Filter
from admin_tui.model import Model
from admin_tui.moments import BadMoment, moment
from admin_tui.picture import Picture
from admin_tui.replaying import Replayer
from admin_tui.screens.base import TopScreen
from cells.kernel.clock import Clock


class Host(Protocol):
    """What commands need of the app."""

    model: Model
    picture: Picture
    clock: Clock
    zone: tzinfo | None
    replayer: Replayer
    rate: float
    theme: str

    @property
    def available_themes(self) -> Mapping[str, Any]: ...

    @property
    def visible_screen(self) -> TopScreen | None: ...

    def go(self, mode: str, aim: str = "", pattern: Filter | None = None) -> None: ...

    def select_cell(self, cell: str) -> None: ...

    def export(self, form: str, path: str = "") -> None: ...

    def tell(self, text: str, *, severity: str = "information") -> None: ...

    def do(self, what: str) -> None: ...


class Commander:
    """Reads what is typed behind `:` and brings it about."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def run(self, typed: str) -> str:
        """Do what was typed; answers what is wrong with it, or nothing."""
        host = self._host
        try:
            command = commands.parse(typed, cells=host.model.cells, themes=sorted(host.available_themes))
            self._do(command)
        except (BadCommand, BadFilter, BadMoment) as error:
            return str(error)
        return ""

    def complete(self, typed: str) -> str | None:
        """Return what was typed, completed."""
        picture = self._host.picture
        sales = [each.sale.id for each in picture.sales]
        words: dict[str, Sequence[str]] = {
            "cell": self._host.model.cells,
            "sale": sales,
            "room": sales,
            "orders": _narrowings("orders", sales),
            "holds": _narrowings("holds", sales),
            "sales": ("open", "armed", "paused", "draft", "ended", "killed"),
            "theme": sorted(self._host.available_themes),
            "export": commands.FORMS,
            "speed": [str(each) for each in (*replay.SPEEDS, 0)],
            "at": ("-1m", "-5m", "-30m", "-1h"),
            "log": ("log.*.sale.>", "log.*.room.>"),
        }
        return commands.complete(typed, words)

    def _do(self, command: Command) -> None:
        host = self._host
        match command:
            case commands.Go(mode=mode, aim=aim, filter=text):
                host.go(mode, aim, Filter.parse(text) if text else None)
            case commands.SelectCell(cell=cell):
                if cell:
                    host.select_cell(cell)
                host.go("cell")
            case commands.Narrow(text=text):
                self.narrow(text)
            case commands.Rate(seconds=seconds):
                host.rate = seconds
                host.tell(f"Refreshed every {seconds:g} s.")
            case commands.SetTheme(name=name):
                host.theme = name
            case commands.Export(form=form, path=path):
                host.export(form, path)
            case commands.Do(what=what):
                host.do(what)
            case commands.GoTo() | commands.Live() | commands.Speed():
                self._travel(command)
            case _:
                assert_never(command)

    def _travel(self, command: commands.GoTo | commands.Live | commands.Speed) -> None:
        host = self._host
        match command:
            case commands.GoTo(moment=typed):
                host.replayer.begin(moment(typed, self._now(), host.zone))
            case commands.Live():
                host.replayer.end()
            case commands.Speed(speed=speed):
                if host.model.replay is None:
                    raise BadCommand("There is no replay to play. Begin one: :at -5m")
                host.replayer.change(replay.at_speed(host.model.replay, speed, host.clock.now()))

    def _now(self) -> int:
        """Now by the clock of what is shown: of the cell, whose clock may be another; in a replay its moment."""
        if self._host.model.replay is not None:
            return self._host.model.replay.at
        focus = self._host.picture.focus
        if focus is not None and focus.frame is not None:
            return focus.frame.at
        return self._host.clock.now()

    def narrow(self, text: str) -> None:
        """Filter the visible screen. Raises BadFilter."""
        screen = self._host.visible_screen
        if screen is not None:
            screen.pattern = Filter.parse(text)


def _narrowings(tab: trade.Tab, sales: Sequence[str]) -> list[str]:
    states = [f"{trade.STATE[tab]} {state}" for state in trade.STATES[tab]]
    return [*states, *(f"sale {sale}" for sale in sales)]
