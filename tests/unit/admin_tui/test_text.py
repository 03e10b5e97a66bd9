"""Whatever people wrote, a terminal shows one line of it and does nothing else."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from admin_tui.simulated_names import HOSTILE
from admin_tui.text import fit, inert, plain

EVIL = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x07\x00\x7f\x9b\u202e\u2066\u200b\u200d\ufeff\u0301\ufe0f\n\r\t[]\\\U000e0041"),
    )
)


@given(EVIL)
def test_nothing_that_moves_hides_or_reorders_is_left(text):
    shown = inert(text)

    assert "\n" not in shown
    for character in shown:
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(EVIL, st.integers(0, 60))
def test_it_is_never_wider_than_its_place(text, width):
    assert cell_len(inert(text, width)) <= width
    assert cell_len(fit(inert(text), width)) <= width


@given(EVIL)
def test_what_is_inert_stays_as_it_is(text):
    assert inert(inert(text)) == inert(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_not_changed(text):
    assert inert(text) == text


@given(EVIL)
def test_accents_do_not_pile_up(text):
    marks = 0
    for character in inert(text):
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me", "Mc"} else 0
        assert marks <= 2


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_attackers_are_text_and_never_markup(name):
    shown = plain(name)

    assert shown.plain == inert(name)
    assert shown.spans == []


def test_names_that_differ_in_hidden_characters_only_do_not_look_the_same():
    assert inert("ana") != inert("an\u200ba")
