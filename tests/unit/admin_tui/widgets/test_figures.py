"""Numbers as they are written."""

import pytest

from admin_tui.widgets import figures
from admin_tui.wire import Price


@pytest.mark.parametrize(
    ("value", "text"),
    (
        (0, "0"),
        (512, "512"),
        (999, "999"),
        (1000, "1.0k"),
        (9140, "9.1k"),
        (99_949, "99.9k"),
        (128_440, "128k"),
        (999_499, "999k"),
        (999_999, "1.0M"),
        (1_234_567, "1.2M"),
        (2e9, "2.0G"),
    ),
)
def test_compact_numbers_have_at_most_five_characters(value, text):
    assert figures.compact(value) == text
    assert len(text) <= 5


@pytest.mark.parametrize(
    ("ms", "text"),
    ((0, "0 ms"), (0.83, "0.8 ms"), (21.4, "21 ms"), (999, "999 ms"), (1240, "1.2 s"), (240_000, "240 s")),
)
def test_durations_have_the_unit_that_fits(ms, text):
    assert str(figures.duration(ms)) == text


@pytest.mark.parametrize(
    ("share", "text"),
    ((0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.996, "99%"), (1, "100%"), (1.7, "170%")),
)
def test_a_share_says_nothing_and_all_only_where_it_is_so(share, text):
    assert str(figures.share(share)) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    (
        (-5, "0s"),
        (59_999, "59s"),
        (60_000, "1:00"),
        (3_599_000, "59:59"),
        (15_150_000, "4:12:30"),
        (2 * 86_400_000 + 4 * 3_600_000, "2d 4h"),
    ),
)
def test_spans(ms, text):
    assert figures.span(ms) == text


@pytest.mark.parametrize(
    ("price", "text"),
    (
        (Price(4990, "EUR"), "49.90 EUR"),
        (Price(123_456_789, "USD"), "1,234,567.89 USD"),
        (Price(500, "JPY"), "500 JPY"),
        (Price(1500, "KWD"), "1.500 KWD"),
    ),
)
def test_money_has_the_digits_of_its_currency(price, text):
    assert figures.money(price) == text


def test_times_of_day_are_those_of_the_terminal():
    at = 1_800_000_047_004

    assert figures.clock(at) == "08:00:47"
    assert figures.stamp(at) == "08:00:47.004"
    assert figures.day(at) == "2027-01-15 08:00:47"
    assert figures.clock(None) == "-"


def test_a_time_that_no_calendar_has_is_no_error():
    assert figures.day(2**60)


def test_memory_and_rates():
    assert str(figures.size(75 << 20)) == "75 MiB"
    assert str(figures.size(500)) == "0 KiB"
    assert str(figures.size(12 << 30)) == "12.0 GiB"
    assert str(figures.rate(0.5)) == "0.5/s"
    assert str(figures.rate(4812.4)) == "4,812/s"
    assert str(figures.count(1_234_567)) == "1,234,567"


def test_every_state_has_a_sign_of_its_own():
    signs = [figures.state(name).plain[0] for name in figures.STATES]

    assert len(set(signs)) == len(signs)
    assert figures.state("of another version").plain == "? of anoth"
