"""One series out of those of many cells. PURE."""

from collections.abc import Callable, Iterable

from admin_tui.picture import Picture


def summed(picture: Picture, name: str) -> list[float]:
    """Return the sum over all cells, point by point from the newest."""
    return _joined(picture, name, sum)


def worst(picture: Picture, name: str) -> list[float]:
    """Return the highest of all cells, point by point from the newest."""
    return _joined(picture, name, max)


def _joined(picture: Picture, name: str, join: Callable[[Iterable[float]], float]) -> list[float]:
    by_length: dict[int, list[list[float]]] = {}
    for cell in picture.cells:
        history = cell.histories.get(name)
        if history:
            by_length.setdefault(len(history), []).append(history)
    # Nearly all have the same length, and are joined by the interpreter's own loops.
    joined = [[join(points) for points in zip(*histories, strict=True)] for histories in by_length.values()]
    length = max((len(points) for points in joined), default=0)
    return [join(points[-ago] for points in joined if len(points) >= ago) for ago in range(length, 0, -1)]
