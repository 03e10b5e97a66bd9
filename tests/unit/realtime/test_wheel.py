"""The timing wheel."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.wheel import STEP_MS, Wheel


def test_an_item_comes_up_once_and_in_order():
    wheel: Wheel[str] = Wheel(0)
    wheel.enter("late", 900)
    wheel.enter("early", 300)

    assert wheel.turn(250) == []
    assert wheel.turn(2_000) == ["early", "late"]
    assert wheel.turn(10_000) == []


def test_what_is_due_already_comes_up_at_the_next_step():
    wheel: Wheel[str] = Wheel(10_000)
    wheel.enter("past", 1)

    assert wheel.turn(10_000 + STEP_MS) == ["past"]


def test_a_long_pause_is_no_long_search():
    wheel: Wheel[str] = Wheel(0)
    wheel.enter("x", 10**12)

    assert wheel.turn(10**13) == ["x"]


@given(st.lists(st.integers(0, 100_000)), st.lists(st.integers(0, 30_000)))
def test_nothing_is_early_lost_or_more_than_a_step_late(deadlines, pauses):
    wheel: Wheel[tuple[int, int]] = Wheel(0)
    for key, at in enumerate(deadlines):
        wheel.enter((key, at), at)
    now, seen = 0, []
    for pause in [*pauses, 101_000]:
        before, now = now, now + pause
        due = wheel.turn(now)
        seen += due

        assert all(at <= now for _, at in due)
        assert all(at > before - 2 * STEP_MS for _, at in due)
    assert sorted(seen) == sorted(enumerate(deadlines))
