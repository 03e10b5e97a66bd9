"""Cursors are held back for a second, and the newest wins."""

from server.chat.commands import CursorsMoved, MoveCursors
from server.chat.receipts import PACE_MS, Receipts

T0 = 1_000_000


def moved(receipts: Receipts, delivered: int, read: int, now: int) -> CursorsMoved | None:
    command = MoveCursors("cnv_1", "usr_b", delivered, read)
    held = receipts.take(command, now)
    if held is None:
        receipts.accepted(command, CursorsMoved(max(delivered, read), read), now)
    return held


def test_the_first_goes_out_at_once_and_the_rest_of_a_second_in_one() -> None:
    receipts = Receipts()
    assert moved(receipts, 1, 0, T0) is None
    assert moved(receipts, 5, 2, T0 + 10) == CursorsMoved(5, 2)
    assert moved(receipts, 3, 4, T0 + 20) == CursorsMoved(5, 4)
    assert receipts.due(T0 + PACE_MS - 1) == []
    assert receipts.due(T0 + PACE_MS) == [MoveCursors("cnv_1", "usr_b", 5, 4)]
    assert receipts.due(T0 + 2 * PACE_MS) == []


def test_a_cursor_that_stands_is_not_written_again() -> None:
    receipts = Receipts()
    moved(receipts, 5, 5, T0)
    assert moved(receipts, 5, 3, T0 + 1) == CursorsMoved(5, 5)
    assert receipts.due(T0 + PACE_MS) == []


def test_one_whom_the_writer_refused_is_not_held() -> None:
    receipts = Receipts()
    assert receipts.take(MoveCursors("cnv_1", "usr_x", 1, 0), T0) is None
    assert receipts.take(MoveCursors("cnv_1", "usr_x", 1, 0), T0 + 1) is None


def test_what_is_held_at_the_end_is_handed_out() -> None:
    receipts = Receipts()
    moved(receipts, 1, 0, T0)
    moved(receipts, 2, 0, T0 + 1)
    assert receipts.rest() == [MoveCursors("cnv_1", "usr_b", 2, 0)]
    assert receipts.rest() == []


def test_people_who_are_gone_are_forgotten() -> None:
    receipts = Receipts()
    moved(receipts, 1, 0, T0)
    receipts.due(T0 + PACE_MS)
    assert not receipts._known
