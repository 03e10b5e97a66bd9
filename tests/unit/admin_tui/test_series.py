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

    assert series.joined(picture(all_), "holds", sum) == [sum(newest(all_, ago)) for ago in ages]
    assert series.joined(picture(all_), "holds", max) == [max(newest(all_, ago)) for ago in ages]


@given(histories, st.integers(1, 10))
def test_only_as_many_points_as_there_is_room_for_are_joined(all_, most):
    assert (
        series.joined(picture(all_), "holds", sum, most) == series.joined(picture(all_), "holds", sum)[-most:]
    )


def test_a_series_that_no_cell_has_is_empty():
    assert series.joined(picture([[1.0]]), "orders", sum) == []


def crowd(at: int, second: int, cells: int = series.MANY + 1) -> Picture:
    """Cells whose series are the seconds so far, each a little different."""
    made = []
    for n in range(cells):
        points = [float(each + n) for each in range(second + 1)]
        made.append(CellPicture(f"c{n}", histories={"holds": points}, values={"holds": points[-1]}))
    return Picture(at, "live", tuple(made), Totals())


def test_a_series_of_many_cells_goes_on_by_its_newest_point():
    rolling = series.Rolling("holds", sum)
    for second in range(1, 60):
        for part in (0, 250, 900):
            now = crowd(1000 * second + part, second)
            assert rolling.of(now, 10) == series.joined(now, "holds", sum, 10)


def test_a_series_is_joined_anew_after_a_gap_and_for_other_cells_or_widths():
    rolling = series.Rolling("holds", max)
    rolling.of(crowd(1000, 1), 10)
    for now, most in ((crowd(9000, 9), 10), (crowd(9000, 9), 4), (crowd(9250, 9, series.MANY + 9), 4)):
        assert rolling.of(now, most) == series.joined(now, "holds", max, most)


def test_what_went_by_unseen_is_there_after_a_while():
    rolling, odd = series.Rolling("holds", sum), crowd(1000, 1)
    rolling.of(odd)
    now, last = odd, [0.0]
    for second in range(2, 2 + series.ANEW_S):
        now = crowd(1000 * second, 50)
        last = rolling.of(now)
    assert last == series.joined(now, "holds", sum)
