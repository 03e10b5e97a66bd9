"""Sparklines, large digits and the bar of a sale's stock, by law and by example."""

from hypothesis import given
from hypothesis import strategies as st

from admin_tui.widgets import spark, stat, stockbar

VALUES = st.lists(st.floats(min_value=0, max_value=1e9, allow_nan=False), max_size=80)


@given(VALUES, st.integers(min_value=0, max_value=100))
def test_a_sparkline_is_as_wide_as_asked_for(values, width):
    assert len(spark.bars(values, width)) == width


@given(VALUES, st.integers(min_value=1, max_value=80), st.integers(min_value=1, max_value=6))
def test_a_plot_has_its_size_and_no_holes_below_its_top(values, width, height):
    lines = spark.columns(values, width, height)

    assert [len(line) for line in lines] == [width] * height
    for column in zip(*lines, strict=True):
        drawn = [spark.EIGHTHS.index(sign) for sign in column]
        first = next((row for row, eighth in enumerate(drawn) if eighth), height)
        assert all(eighth == 8 for eighth in drawn[first + 1 :])


@given(st.lists(st.integers(min_value=1, max_value=10**6), min_size=1, max_size=60))
def test_what_is_not_zero_shows_in_a_plot(values):
    lowest = spark.columns([float(value) for value in values], len(values), 3)[-1]

    assert " " not in lowest


def test_a_higher_value_has_a_higher_bar():
    assert spark.bars([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert spark.bars([1, 7], 4) == "  ▂█"
    assert spark.bars([0, 0], 2) == "▁▁"
    assert spark.bars([1, 2, 3], 0) == ""


AMOUNTS = st.integers(min_value=0, max_value=10**6)


@given(st.integers(min_value=3, max_value=200), AMOUNTS, AMOUNTS, AMOUNTS)
def test_the_bar_is_full_and_hides_nothing(width, sold, held, left):
    stock = sold + held + left
    parts = stockbar.parts(width, sold=sold, held=held, stock=stock)

    assert sum(parts) == width
    if stock:
        for amount, length in zip((sold, held, left), parts, strict=True):
            assert (length > 0) == (amount > 0)


@given(st.integers(min_value=0, max_value=50), *[st.integers(min_value=-5, max_value=50)] * 3)
def test_sums_that_cannot_be_are_no_error(width, sold, held, stock):
    assert sum(stockbar.parts(width, sold=sold, held=held, stock=stock)) == max(0, width)


def test_parts_differ_in_sign_and_not_only_in_colour():
    bar = stockbar.bar(10, sold=5, held=2, stock=10).plain

    assert bar == "━━━━━╍╍───"


@given(st.integers(min_value=0, max_value=10**9))
def test_large_digits_are_three_lines_of_one_width(number):
    lines = stat.large(f"{number:,}")

    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 3
    assert lines[2].count(",") == f"{number:,}".count(",")


def test_every_digit_looks_different():
    assert len(set(stat.GLYPHS.values())) == 10
