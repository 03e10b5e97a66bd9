"""By what rows are ordered."""

from admin_tui.widgets.ordering import Ordering

ROWS = [("b", 2), ("a", 3), ("c", 1)]


def test_a_column_is_chosen_then_turned_then_left():
    order = Ordering({"size": lambda row: row[1]})
    shown = []

    for _ in range(3):
        order.choose("size")
        shown.append([row[0] for row in order.sorted(ROWS)])

    assert shown == [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]]


def test_the_next_column_comes_round_to_the_natural_order():
    order = Ordering({"name": lambda row: row[0], "size": lambda row: row[1]}, sorted)
    seen = []

    for _ in range(3):
        order.next()
        seen.append(order.column)

    assert seen == ["name", "size", ""]


def test_a_column_without_a_measure_changes_nothing():
    order = Ordering({"size": lambda row: row[1]})

    order.choose("state")

    assert order.sorted(ROWS) == ROWS
