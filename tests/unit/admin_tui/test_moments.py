"""How an operator names a moment."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_tui.moments import BadMoment, moment
from admin_tui.replay import At, Position

NOW = round(datetime(2026, 11, 23, 14, 2, 7, 311_000, UTC).timestamp() * 1000)


def at(year: int, month: int, day: int, hour: int, minute: int, second: int = 0, micro: int = 0) -> At:
    return At(round(datetime(year, month, day, hour, minute, second, micro, UTC).timestamp() * 1000))


@pytest.mark.parametrize(
    ("typed", "wanted"),
    (
        ("4711", Position(4711)),
        ("#4711", Position(4711)),
        ("-5m", At(NOW - 300_000)),
        ("-1h30m", At(NOW - 5_400_000)),
        ("-90s", At(NOW - 90_000)),
        ("14:02", at(2026, 11, 23, 14, 2)),
        ("14:02:07", at(2026, 11, 23, 14, 2, 7)),
        ("9:00", at(2026, 11, 23, 9, 0)),
        ("14:02:07.3", at(2026, 11, 23, 14, 2, 7, 300_000)),
        ("14:02:08", at(2026, 11, 22, 14, 2, 8)),
        ("2026-01-02 03:04:05", at(2026, 1, 2, 3, 4, 5)),
        ("2026-01-02T03:04:05Z", at(2026, 1, 2, 3, 4, 5)),
    ),
)
def test_a_moment_is_what_it_says(typed, wanted):
    assert moment(typed, NOW, UTC) == wanted


def test_a_time_is_one_of_the_terminals_zone_unless_it_ends_in_z():
    vienna = timezone(timedelta(hours=1))

    assert moment("15:00", NOW, vienna) == at(2026, 11, 23, 14, 0)
    assert moment("14:00Z", NOW, vienna) == at(2026, 11, 23, 14, 0)


@pytest.mark.parametrize(
    "typed", ("noon", "25:00", "12:60", "2026-02-30 10:00", "-", "-5", "", "5m", "\u0967\u0968:\u0966\u0966")
)
def test_what_is_no_moment_is_explained(typed):
    with pytest.raises(BadMoment):
        moment(typed, NOW, UTC)


@given(st.text())
def test_anything_typed_is_a_moment_or_is_explained(typed):
    try:
        found = moment(typed, NOW, UTC)
    except BadMoment:
        pass
    else:
        assert isinstance(found, At | Position)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(-12, 14))
def test_a_time_of_day_is_the_last_one_there_was(hour, minute, second, offset):
    found = moment(f"{hour}:{minute:02}:{second:02}", NOW, timezone(timedelta(hours=offset)))

    assert isinstance(found, At)
    assert NOW - 86_400_000 < found.at <= NOW
