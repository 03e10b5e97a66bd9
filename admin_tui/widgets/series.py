"""One series out of those of many cells. PURE."""

from collections.abc import Callable, Iterable
from typing import Final

from admin_tui.picture import Picture

POINTS: Final = 60
# Of more cells than these, a series is not added up at every picture.
MANY: Final = 100
ANEW_S: Final = 15


def joined(
    picture: Picture, name: str, join: Callable[[Iterable[float]], float], most: int = POINTS
) -> list[float]:
    """Return the newest `most` points of all cells' series, each made by `join`, aligned at the newest."""
    by_length: dict[int, list[list[float]]] = {}
    for cell in picture.cells:
        history = cell.histories.get(name)
        if history:
            newest = history[-most:]
            by_length.setdefault(len(newest), []).append(newest)
    # Nearly all have the same length, and are joined by the interpreter's own loops.
    parts = [[join(points) for points in zip(*histories, strict=True)] for histories in by_length.values()]
    length = max((len(points) for points in parts), default=0)
    return [join(points[-ago] for points in parts if len(points) >= ago) for ago in range(length, 0, -1)]


class Rolling:
    """One series of many cells, which goes on by its newest point and is joined anew every 15 seconds.

    What a second brings is little, and to look through a minute of hundreds of cells takes long.
    """

    def __init__(self, name: str, join: Callable[[Iterable[float]], float]) -> None:
        """`join` makes one point out of those of all cells: `sum`, `max`."""
        self._name = name
        self._join = join
        self._of: tuple[object, ...] = ()
        self._anew = 0
        self._second = 0
        self._points: list[float] = []

    def of(self, picture: Picture, most: int = POINTS) -> list[float]:
        """Return the newest `most` points."""
        second, of = picture.at // 1000, (picture.mode, len(picture.cells), most)
        if (
            len(picture.cells) <= MANY
            or picture.replay is not None
            or of != self._of
            or not self._points
            or second - self._second not in {0, 1}
            or second - self._anew >= ANEW_S
        ):
            self._of, self._anew = of, second
            self._points = joined(picture, self._name, self._join, most)
        else:
            newest = self._join([cell.metric(self._name) for cell in picture.cells])
            kept = self._points if second > self._second else self._points[:-1]
            self._points = [*kept, newest][-most:]
        self._second = second
        return self._points
