"""JSON of an event: what is typed stays text, and what is too much is cut."""

import json

from hypothesis import given
from hypothesis import strategies as st

from admin_tui.widgets.json_view import MAX_LINES, as_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8), inner, max_size=5
        )
    ),
    max_leaves=30,
)


@given(VALUES)
def test_it_reads_back_as_what_it_was(value):
    assert json.loads(as_json(value).plain) == value


@given(st.text())
def test_no_text_moves_the_cursor(text):
    shown = as_json({"text": text}).plain

    assert all(character.isprintable() or character == "\n" for character in shown)
    assert shown.count("\n") == 2


def test_markup_and_escape_codes_are_letters():
    shown = as_json({"[red]name": "[@click=app.quit]x[/]\x1b[2J"}).plain

    assert '"[red]name": "[@click=app.quit]x[/]\\u001b[2J"' in shown


def test_what_is_too_much_is_cut_and_said_to_be():
    many = as_json([{"n": n} for n in range(MAX_LINES)]).plain.split("\n")
    long = as_json("x" * 10_000).plain

    assert len(many) == MAX_LINES + 1
    assert "more than is shown" in many[-1]
    assert len(long) < 2100
    assert "8,000 more" in long
