"""What a screen shows: everything it needs, in values that do not change under it."""

from array import array
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from admin_tui.actions import Life
from admin_tui.replay import ReplayState
from admin_tui.wire import Alert, Frame, SaleRow, Series, Totals

ACTING_ROLES = frozenset({"operator", "admin"})


class Histories(Mapping[str, list[float]]):
    """Points by the name of a metric, which the dashboard has kept, or of a series, which the cell has sent."""

    __slots__ = ("_points", "_series")

    def __init__(self, points: "Mapping[str, array[float]]", series: Sequence[Series] = ()) -> None:
        self._points = points
        self._series = series

    def __getitem__(self, name: str) -> list[float]:
        # Made for each frame and looked into seldom: a list of ten need not become a dict first.
        for each in self._series:
            if each.name == name:
                return each.history
        return self._points[name].tolist()

    def __iter__(self) -> Iterator[str]:
        return iter(self._points.keys() | {each.name for each in self._series})

    def __len__(self) -> int:
        return len(list(iter(self)))


class CellPicture(msgspec.Struct, frozen=True, gc=False):
    """A cell: its newest frame (None until there is one), and whether it is heard now.

    `histories` has one point a second, the oldest first, at most 60: by the name of a metric or of a series.
    `values`: the newest of each, read from the frame once.
    """

    id: str
    url: str = ""
    frame: Frame | None = None
    connected: bool = False
    lost_since: int | None = None
    why: str = ""
    role: str = ""
    histories: Mapping[str, list[float]] = {}
    values: dict[str, float] = {}

    def metric(self, name: str) -> float:
        """Return a metric's newest value; 0 before the first frame."""
        return self.values.get(name, 0.0)

    @property
    def state(self) -> str:
        """One word: waiting, down, fenced, degraded (a process is away), catching up, or ok."""
        if not self.connected:
            return "waiting" if self.frame is None and self.lost_since is None else "down"
        if self.frame is None:
            return "waiting"
        if self.frame.log.state == "fenced":
            return "fenced"
        if any(each.state not in {"running", "standby", "external"} for each in self.frame.processes):
            return "degraded"
        return "catching up" if self.frame.catching_up else "ok"


class Mover(msgspec.Struct, frozen=True, gc=False):
    """A metric of a cell that changed much: from what it was over the last minute to what it is now."""

    cell: str
    metric: str
    before: float
    now: float
    score: float
    history: Sequence[float]


class CellAlert(msgspec.Struct, frozen=True, gc=False):
    """An alert and the cell that it is about."""

    cell: str
    alert: Alert


class CellSale(msgspec.Struct, frozen=True, gc=False):
    """A sale and the cell that has it."""

    cell: str
    sale: SaleRow


class Picture(msgspec.Struct, frozen=True):
    """All cells at one moment. `totals` are the sums over the cells' frames, the stale ones included.

    `at`: by the dashboard's clock when live, by the log when replayed. `selected`: the cell that screens about one
    cell show; empty before any is known. `operate`: the dashboard was started to act.
    """

    at: int
    mode: str
    cells: tuple[CellPicture, ...]
    totals: Totals
    movers: tuple[Mover, ...] = ()
    alerts: tuple[CellAlert, ...] = ()
    selected: str = ""
    operate: bool = False
    role: str = ""
    replay: ReplayState | None = None
    actions: tuple[Life, ...] = ()

    def cell(self, id_: str) -> CellPicture | None:
        """Return a cell by its id."""
        return next((each for each in self.cells if each.id == id_), None)

    @property
    def focus(self) -> CellPicture | None:
        """The selected cell."""
        return self.cell(self.selected)

    @property
    def sales(self) -> tuple[CellSale, ...]:
        """The sales in all frames, cell by cell, in the order of the frames."""
        return tuple(
            CellSale(cell.id, sale)
            for cell in self.cells
            if cell.frame is not None
            for sale in cell.frame.sales
        )

    @property
    def why_not(self) -> str:
        """Why nothing can be changed at the selected cell now; empty where it can."""
        return self.why_not_at(self.selected)

    def why_not_at(self, cell: str) -> str:
        """Why nothing can be changed at a cell now; empty where it can."""
        if self.replay is not None:
            return "This is a replay: nothing can be changed in the past. Back to now: End or :live"
        if not self.operate:
            return "This dashboard is read-only. Start it with: titan top --operate"
        found = self.cell(cell)
        role = found.role if found is not None else ""
        if role not in ACTING_ROLES:
            return f"The key has the role {role or 'unknown'} at {cell}; acting needs operator or admin."
        return ""
