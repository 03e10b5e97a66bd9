"""From a cell's number to the sign and the level that a heat map shows. PURE."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from admin_tui.metrics import METRICS
from admin_tui.picture import CellPicture
from admin_tui.widgets import figures
from admin_tui.widgets.figures import Figure

GLYPHS: Final = "·▁▂▃▄▅▆▇█!x"
HOTTEST: Final = 8
OVER: Final = 9
DOWN: Final = 10
UNKNOWN: Final = 0

# Eight bounds between the nine levels, then the value from which a cell is over its limit.
BOUNDS: Final[dict[str, tuple[float, ...]]] = {
    "p99": (1, 5, 10, 20, 40, 60, 100, 150, 250),
    "stock left": (100, 90, 75, 60, 45, 30, 15, 5, 0),
    "lag": (10, 50, 100, 250, 500, 1000, 2500, 5000, 15_000),
    "restarts": (1, 2, 3, 4, 5, 6, 7, 8, 10),
}
NICE: Final = (1.0, 2.0, 4.0, 8.0)


class Tile(NamedTuple):
    """A cell in a heat map: `level` 0..8 by value, `OVER` its limit or `DOWN`; `text` is the value in words."""

    id: str
    level: int
    text: str


class Scale(NamedTuple):
    """The bounds of the levels. A falling scale (stock left) has its bounds from high to low."""

    metric: str
    bounds: tuple[float, ...]
    falling: bool = False

    def level(self, value: float) -> int:
        """Return the level of a value, from 0 to `OVER`."""
        if self.falling:
            return sum(value < bound for bound in self.bounds[:8]) + (value <= self.bounds[8])
        return bisect_right(self.bounds, value)


def scale_of(metric: str, values: Sequence[float]) -> Scale:
    """Return the scale of a metric. Where none is fixed, it grows with the largest value, in steps of two."""
    fixed = BOUNDS.get(metric)
    if fixed is not None:
        return Scale(metric, fixed, falling=not METRICS[metric].more_is_worse)
    top = _nice(max(values, default=0.0))
    return Scale(metric, (*(max(top * step / 8, 1e-9) for step in (0.04, 1, 2, 3, 4, 5, 6, 7)), float("inf")))


def _nice(value: float) -> float:
    step = 8.0
    while step < value:
        step *= 2
    return step


class Tiles:
    """Makes tiles of cells; one that is as it was has the tile that it had."""

    def __init__(self) -> None:
        self._scale: Scale | None = None
        self._known: dict[str, tuple[CellPicture, Tile]] = {}

    def of(self, metric: str, cells: Sequence[CellPicture]) -> tuple[list[Tile], Scale]:
        """Return a tile a cell, in the same order, and the scale they are on."""
        scale = scale_of(metric, [cell.values.get(metric, 0.0) for cell in cells])
        if scale != self._scale:
            self._scale = scale
            self._known.clear()
        known, shown = self._known, []
        for cell in cells:
            pair = known.get(cell.id)
            if pair is None or pair[0] is not cell:
                pair = known[cell.id] = cell, tile(cell, scale)
            shown.append(pair[1])
        return shown, scale


def tile(cell: CellPicture, scale: Scale) -> Tile:
    """Return the tile of a cell on a scale."""
    value = cell.metric(scale.metric)
    if not cell.connected and (cell.lost_since is not None or cell.frame is not None):
        return Tile(cell.id, DOWN, "down")
    if cell.frame is None:
        return Tile(cell.id, UNKNOWN, "…")
    return Tile(cell.id, scale.level(value), str(figure(scale.metric, value)))


def figure(metric: str, value: float) -> Figure:
    """Return a metric's value with its unit."""
    match METRICS[metric].unit:
        case "ms":
            return figures.duration(value)
        case "%":
            return figures.share(value / 100)
        case "/s":
            return Figure(figures.compact(value), "/s")
        case unit:
            return Figure(f"{value:,.0f}", unit)


def legend(scale: Scale) -> list[tuple[int, str]]:
    """Return the levels worth a word, each with the bound where it begins."""
    levels = (2, 4, 6, 8) if scale.bounds[8] == float("inf") else (2, 4, 6, 8, OVER)
    return [(level, str(figure(scale.metric, scale.bounds[level - 1]))) for level in levels]
