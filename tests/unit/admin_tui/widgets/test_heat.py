"""Levels, scales and places of the heat map."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_tui.metrics import METRICS, values
from admin_tui.picture import CellPicture
from admin_tui.widgets import heat
from admin_tui.widgets.heat_grid import CARD, grid
from admin_tui.wire import Frame, Latency, LogState, ProcessRow, SaleRow, Series


def cell(id_="c1", *, connected=True, lost_since=None, **frame):
    shown = Frame(id_, **frame)
    return CellPicture(id_, frame=shown, connected=connected, lost_since=lost_since, values=values(shown))


@pytest.mark.parametrize(
    ("p99", "glyph"), ((0, "·"), (3, "▁"), (7, "▂"), (25, "▄"), (65, "▆"), (200, "█"), (900, "!"))
)
def test_a_slower_cell_has_a_higher_sign(p99, glyph):
    slow = cell(latencies=[Latency("hold", p99_ms=p99)])

    ((tile,), _) = heat.Tiles().of("p99", [slow])

    assert heat.GLYPHS[tile.level] == glyph


@pytest.mark.parametrize(("left", "glyph"), ((1000, "·"), (990, "▁"), (290, "▆"), (20, "█"), (0, "!")))
def test_less_stock_is_more_heat(left, glyph):
    sale = SaleRow("sal_1", state="open", stock=1000, available=left)

    ((tile,), scale) = heat.Tiles().of("stock left", [cell(sales=[sale])])

    assert heat.GLYPHS[tile.level] == glyph
    assert scale.falling


def test_a_cell_that_is_not_heard_is_down_whatever_it_said_last():
    lost = cell(connected=False, lost_since=5, series=[Series("requests", now=10)])
    waiting = CellPicture("c2")

    tiles, _ = heat.Tiles().of("load", [lost, waiting])

    assert [heat.GLYPHS[tile.level] for tile in tiles] == ["x", "·"]
    assert [tile.text for tile in tiles] == ["down", "…"]


@given(st.lists(st.floats(min_value=0, max_value=1e7), min_size=1, max_size=50))
def test_a_scale_that_grows_has_room_for_the_largest_and_is_not_wasted_on_it(loads):
    scale = heat.scale_of("load", loads)
    levels = [scale.level(load) for load in loads]

    assert max(levels) <= heat.HOTTEST
    assert max(loads) < 8 or max(levels) >= 4
    assert all(
        a <= b
        for (_, a), (_, b) in zip(
            *[sorted(zip(loads, levels, strict=True))[i:] for i in (0, 1)], strict=False
        )
    )


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_a_legend_in_rising_heat(metric):
    scale = heat.scale_of(metric, [100.0])
    marks = heat.legend(scale)

    assert [level for level, _ in marks] == sorted(level for level, _ in marks)
    assert all(text for _, text in marks)


def test_a_tile_is_made_again_only_for_a_cell_that_is_another():
    tiles = heat.Tiles()
    one, two = cell("c1", log=LogState(lag_ms=5)), cell("c2", log=LogState(lag_ms=5))
    (first, second), _ = tiles.of("lag", [one, two])
    slower = cell("c2", log=LogState(lag_ms=700))

    (again, changed), _ = tiles.of("lag", [one, slower])

    assert again is first
    assert changed.level > second.level


def test_restarts_of_all_processes_count():
    crashing = cell(processes=[ProcessRow("api", restarts=2), ProcessRow("hub", restarts=1)])

    ((tile,), _) = heat.Tiles().of("restarts", [crashing])

    assert tile.text == "3"


SIZES = st.integers(min_value=1, max_value=300)


@given(st.integers(min_value=1, max_value=500), SIZES, SIZES)
def test_a_grid_has_a_place_for_every_cell_and_stays_in_its_width(count, width, height):
    where = grid(count, width, height)

    assert where.columns * where.rows >= count
    assert where.columns * (where.rows - 1) < count
    assert where.label + where.columns * where.cell <= max(width, where.label + where.cell)


@given(
    st.integers(min_value=1, max_value=500),
    st.integers(min_value=60, max_value=300),
    st.integers(min_value=12, max_value=80),
)
def test_up_to_500_cells_are_all_seen_on_a_common_terminal(count, width, height):
    where = grid(count, width, height)

    assert where.header + where.rows * where.pitch <= height


@given(
    st.integers(min_value=1, max_value=500),
    st.integers(min_value=60, max_value=300),
    st.integers(min_value=12, max_value=80),
)
def test_every_cell_is_found_where_it_is_drawn(count, width, height):
    where = grid(count, width, height)

    for index in (0, count // 2, count - 1):
        row, column = divmod(index, where.columns)
        x, y = where.label + column * where.cell, where.header + row * where.pitch
        assert where.index_at(x, y) == index
        assert where.index_at(x + where.cell - 1, y + where.pitch - 1) == index
    assert where.index_at(where.label - 1, where.header) is None
    assert where.index_at(where.label, where.header - 1) is None


def test_few_cells_are_cards_and_many_are_tiles():
    assert grid(12, 80, 12).is_cards
    assert grid(12, 80, 12).cell >= CARD
    assert (grid(500, 84, 26).columns, grid(500, 84, 26).rows, grid(500, 84, 26).cell) == (20, 25, 4)
    assert (grid(500, 104, 21).columns, grid(500, 104, 21).rows) == (25, 20)
    assert grid(500, 104, 10).cell == 1
