"""What can be typed behind the colon."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_tui.commands import (
    USAGE,
    BadCommand,
    Do,
    Export,
    Go,
    GoTo,
    Live,
    Narrow,
    Rate,
    SelectCell,
    SetTheme,
    Speed,
    complete,
    parse,
)

CELLS = ("c1", "c2", "c301")
THEMES = ("titan", "titan-light")


@pytest.mark.parametrize(
    ("typed", "command"),
    (
        ("overview", Go("overview")),
        (":sales open", Go("sales", filter="open")),
        ("sales !ended", Go("sales", filter="!ended")),
        ("  orders   -f usr 1 ", Go("orders", aim="orders", filter="-f usr 1")),
        ("orders sale sal_1  buyer usr_1", Go("orders", aim="orders sale sal_1 buyer usr_1")),
        ("orders payment captured vinyl", Go("orders", aim="orders payment captured", filter="vinyl")),
        ("orders sales", Go("orders", aim="orders", filter="sales")),
        ("holds", Go("orders", aim="holds")),
        ("holds status held buyer usr_1", Go("orders", aim="holds buyer usr_1 status held")),
        ("hold hld_1", Go("orders", aim="hld_1")),
        ("sale sal_1", Go("sales", aim="sal_1")),
        ("order ord_1", Go("orders", aim="ord_1")),
        ("room sal_1", Go("chat", aim="sal_1")),
        ("log log.*.sale.>", Go("log", aim="log.*.sale.>")),
        ("event 4711", Go("log", aim="4711")),
        ("Health", Go("health")),
        ("cell", SelectCell("")),
        ("cell c2", SelectCell("c2")),
        ("at 14:02:07", GoTo("14:02:07")),
        ("at -5m", GoTo("-5m")),
        ("live", Live()),
        ("speed 60", Speed(60)),
        ("speed x10", Speed(10)),
        ("speed ×1", Speed(1)),
        ("speed 0", Speed(0)),
        ("filter", Narrow("")),
        ("filter a b", Narrow("a b")),
        ("rate 0.5", Rate(0.5)),
        ("rate 2s", Rate(2.0)),
        ("theme titan-light", SetTheme("titan-light")),
        ("export", Export("csv")),
        ("export json /tmp/a b.json", Export("json", "/tmp/a b.json")),
        ("q", Do("quit")),
        ("?", Go("help")),
        ("mono", Do("mono")),
    ),
)
def test_a_command_means_what_it_says(typed, command):
    assert parse(typed, cells=CELLS, themes=THEMES) == command


@pytest.mark.parametrize(
    ("typed", "hint"),
    (
        ("", "Type a command"),
        ("slaes", "Did you mean :sales"),
        ("xyzzy", ":help lists"),
        ("sale", "Something is missing: :sale ID"),
        ("orders sale", "Something is missing: :orders sale ID"),
        ("orders payment stolen", ":orders payment is one of: started, authorised"),
        ("holds status", "Something is missing: :holds status STATE"),
        ("at", "MOMENT"),
        ("cell c9", "There is no cell c9"),
        ("speed 7", "0, 1, 10, 60"),
        ("rate fast", "rate SECONDS"),
        ("rate 0.01", "between 0.25 and 5"),
        ("rate nan", "between"),
        ("theme pink", "titan, titan-light"),
        ("export xml", "csv, json"),
        ("quit now", "takes nothing"),
    ),
)
def test_what_is_no_command_is_explained(typed, hint):
    with pytest.raises(BadCommand) as raised:
        parse(typed, cells=CELLS, themes=THEMES)
    assert hint in str(raised.value)


@given(st.one_of(st.text(), st.builds("{} {}".format, st.sampled_from([*USAGE, "q", "?"]), st.text())))
def test_anything_typed_is_a_command_or_is_explained(typed):
    with contextlib.suppress(BadCommand):
        parse(typed, cells=CELLS, themes=THEMES)


@given(st.sampled_from(sorted(USAGE)), st.integers(1, 12))
def test_a_completion_begins_with_what_was_typed_and_is_a_command(name, length):
    found = complete(name[:length], {})

    if found is not None:
        assert found.startswith(name[:length])
        assert found in USAGE


def test_arguments_are_completed_from_what_there_is():
    words = {"cell": CELLS}

    assert complete("cell c3", words) == "cell c301"
    assert complete("cell c301", words) is None
    assert complete("cell d", words) is None
    assert complete("", words) is None
