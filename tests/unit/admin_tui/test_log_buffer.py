"""A window on the log that grows at both ends."""

import pytest

from admin_tui.answers import Lines
from admin_tui.log_buffer import MAX_LINES, LogBuffer, subject_of, subject_of_line
from admin_tui.wire import Line


def page(*positions, first=1, last=10_000, start=None, end=None):
    items = [Line(position) for position in positions]
    at = start if start is not None else min(positions, default=0)
    to = end if end is not None else max(positions, default=0)
    return Lines(items, first, last, at, to)


def held(buffer):
    return [line.position for line in buffer.lines]


def test_pages_of_both_sides_join():
    buffer = LogBuffer()
    buffer.begin(page(50, 51, 52))
    buffer.newer(page(53, 54))
    buffer.older(page(48, 49))

    assert held(buffer) == [54, 53, 52, 51, 50, 49, 48]
    assert (buffer.start, buffer.end) == (48, 54)


def test_the_events_of_one_commit_stay_apart():
    buffer = LogBuffer()
    buffer.begin(Lines([Line(7, 0), Line(7, 1)], 1, 7, 7, 7))

    assert [(line.position, line.index) for line in buffer.lines] == [(7, 1), (7, 0)]


def test_following_for_ever_forgets_the_oldest():
    buffer = LogBuffer()
    buffer.begin(page(*range(1, MAX_LINES + 1)))
    buffer.newer(page(*range(MAX_LINES + 1, MAX_LINES + 101)))

    assert len(buffer.lines) == MAX_LINES
    assert held(buffer)[-1] == 101
    assert buffer.start == 101
    assert buffer.is_full


def test_what_was_looked_at_in_vain_is_not_looked_at_again():
    buffer = LogBuffer()
    buffer.begin(page(start=400, end=900))

    assert buffer.has_older
    buffer.older(page(start=1, end=399))
    assert not buffer.has_older


@pytest.mark.parametrize(
    ("typed", "meant"),
    (
        ("", ""),
        (">", ">"),
        ("sale.>", "log.*.sale.>"),
        ("sale.sal_1", "log.*.sale.sal_1"),
        ("*.room.*", "log.*.room.*"),
        ("0a1.pay.>", "log.0a1.pay.>"),
        ("log.*.sale.>", "log.*.sale.>"),
    ),
)
def test_a_subject_may_be_typed_without_its_beginning(typed, meant):
    assert subject_of(typed) == meant


def test_an_aggregate_is_found_in_any_slot():
    assert subject_of_line(Line(1, slot=161, kind="sale", key="sal_1")) == "log.*.sale.sal_1"
