"""When a sale will be sold out."""

from hypothesis import given
from hypothesis import strategies as st

from admin_tui import forecast

MINUTE = st.lists(st.integers(min_value=0, max_value=500), min_size=1, max_size=60)


@given(st.integers(min_value=0, max_value=10**6), MINUTE)
def test_the_range_is_around_the_forecast(available, taken):
    seen = forecast.sold_out(available, taken)

    if seen.seconds is not None:
        assert seen.soonest is not None
        assert 0 <= seen.soonest <= seen.seconds + 1e-6
        assert seen.latest is None or seen.seconds <= seen.latest + 1e-6


@given(MINUTE)
def test_demand_is_between_the_least_and_the_most(taken):
    assert min(taken) - 1e-9 <= forecast.demand(taken) <= max(taken) + 1e-9


def test_steady_demand_is_foretold_to_the_second():
    seen = forecast.sold_out(600, [10] * 60)

    assert [round(each or 0) for each in (seen.seconds, seen.soonest, seen.latest)] == [60, 60, 60]


def test_newest_demand_counts_most():
    rising = forecast.demand([0] * 48 + [10] * 12)

    assert 4 < rising < 6


def test_nothing_is_foretold_without_demand_or_of_what_is_not_open():
    assert forecast.sold_out(100, [0] * 60).seconds is None
    assert forecast.sold_out(100, [1, 1] + [0] * 58).seconds is None
    assert forecast.sold_out(100, [10] * 60, is_open=False).seconds is None
    assert forecast.sold_out(0, [0] * 60).seconds == 0


def test_a_forecast_of_nothing_known():
    assert forecast.demand([]) == 0
    assert forecast.sold_out(10, []).seconds is None
    assert forecast.sell_through(0, 0) == 0
