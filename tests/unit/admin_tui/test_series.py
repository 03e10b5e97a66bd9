"""One series out of those of many cells."""

from hypothesis import given
from hypothesis import strategies as st

from admin_tui.picture import CellPicture, Picture
from admin_tui.widgets import series
from admin_tui.wire import Totals

numbers = st.integers(0, 1000).map(float)
histories = st.lists(st.lists(numbers, max_size=8), max_size=6)


def picture(all_: list[list[float]]) -> Picture:
    cells = tuple(CellPicture(f"c{n}", histories={"holds": points}) for n, points in enumerate(all_))
    return Picture(0, "live", cells, Totals())


def newest(all_: list[list[float]], ago: int) -> list[float]:
    return [points[-ago] for points in all_ if len(points) >= ago]


@given(histories)
def test_series_are_joined_from_the_newest_point(all_):
    length = max((len(points) for points in all_), default=0)
    ages = range(length, 0, -1)

    assert series.summed(picture(all_), "holds") == [sum(newest(all_, ago)) for ago in ages]
    assert series.worst(picture(all_), "holds") == [max(newest(all_, ago)) for ago in ages]


@given(histories, st.integers(1, 10))
def test_only_as_many_points_as_there_is_room_for_are_joined(all_, most):
    assert series.summed(picture(all_), "holds", most) == series.summed(picture(all_), "holds")[-most:]


def test_a_series_that_no_cell_has_is_empty():
    assert series.summed(picture([[1.0]]), "orders") == []
