"""One series out of those of many cells. PURE."""

from collections.abc import Callable, Iterable
from typing import Final

from admin_tui.picture import Picture

POINTS: Final = 60


def summed(picture: Picture, name: str, most: int = POINTS) -> list[float]:
    """Return the sum over all cells, point by point, of the newest `most` points."""
    return _joined(picture, name, sum, most)


def worst(picture: Picture, name: str, most: int = POINTS) -> list[float]:
    """Return the highest of all cells, point by point, of the newest `most` points."""
    return _joined(picture, name, max, most)


def _joined(picture: Picture, name: str, join: Callable[[Iterable[float]], float], most: int) -> list[float]:
    by_length: dict[int, list[list[float]]] = {}
    for cell in picture.cells:
        history = cell.histories.get(name)
        if history:
            newest = history[-most:]
            by_length.setdefault(len(newest), []).append(newest)
    # Nearly all have the same length, and are joined by the interpreter's own loops.
    joined = [[join(points) for points in zip(*histories, strict=True)] for histories in by_length.values()]
    length = max((len(points) for points in joined), default=0)
    return [join(points[-ago] for points in joined if len(points) >= ago) for ago in range(length, 0, -1)]
