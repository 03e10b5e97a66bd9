"""Finding the way back: snapshots and times."""

import pytest

from server.ops import past
from server.ops.past import Snapshot, Snapshots, Timeline


def kept(snapshots: Snapshots) -> list[int]:
    return [each.position for each in snapshots._kept]


def filled(count: int, size: int = 10, budget: int = 10_000) -> Snapshots:
    snapshots = Snapshots(budget)
    for number in range(1, count + 1):
        snapshots.add(Snapshot(number * 10, b"x" * size))
    return snapshots


@pytest.mark.parametrize(("position", "found"), ((9, None), (10, 10), (19, 10), (20, 20), (99, 50)))
def test_the_nearest_one_before_a_position_is_found(position, found):
    nearest = filled(5).nearest(position)

    assert (nearest.position if nearest else None) == found


def test_one_that_is_not_behind_the_others_is_left_out():
    snapshots = filled(3)
    snapshots.add(Snapshot(30, b"again"))
    snapshots.add(Snapshot(5, b"late"))

    assert kept(snapshots) == [10, 20, 30]


def test_they_stay_within_their_budget_and_the_newest_stay_dense():
    snapshots = filled(200, size=10, budget=500)

    assert snapshots.bytes == 10 * len(snapshots) <= 500
    assert kept(snapshots)[-past.NEWEST :] == [
        (200 - past.NEWEST + n) * 10 for n in range(1, past.NEWEST + 1)
    ]
    assert kept(snapshots) == sorted(kept(snapshots))
    assert kept(snapshots)[0] == 10


def test_one_that_is_larger_than_the_budget_is_the_only_one():
    assert kept(filled(5, size=900, budget=500)) == [50]


def marked(*pairs: tuple[int, int]) -> Timeline:
    timeline = Timeline()
    for position, at in pairs:
        timeline.note(position, at)
    return timeline


@pytest.mark.parametrize(
    ("at", "bracket"),
    ((99, (0, 300)), (100, (300, 900)), (150, (300, 900)), (200, (900, 1_500)), (300, (1_500, None))),
)
def test_a_time_lies_between_two_positions(at, bracket):
    assert marked((300, 100), (900, 200), (1_500, 300)).bracket(at) == bracket


def test_positions_are_marked_now_and_then():
    timeline = marked(*((position, position) for position in range(1, 1_000)))

    assert timeline.bracket(600) == (513, 769)


def test_marks_become_fewer_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(past, "MAX_MARKS", 8)
    timeline = marked(*((position, position) for position in range(1, 10_000)))
    low, high = timeline.bracket(5_000)

    assert len(timeline._positions) <= 8
    assert high is not None
    assert low <= 5_000 < high
