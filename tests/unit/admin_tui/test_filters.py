"""The grammar of filters: text, inverse, fuzzy."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_tui.filters import MAX_PATTERN, BadFilter, Filter

LINES = st.text(max_size=60)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).map(str.strip).filter(bool)


@given(LINES)
def test_an_empty_filter_lets_everything_through(line):
    assert Filter().matches(line)
    assert not Filter()


@given(WORDS, LINES)
def test_text_is_a_regular_expression_without_case(word, line):
    pattern = re.escape(word)
    found = Filter.parse(pattern) if not pattern.startswith(("!", "-f ")) else Filter(pattern)

    assert found.matches(line) == (re.search(pattern, line, re.IGNORECASE) is not None)


@given(WORDS, LINES)
def test_the_inverse_is_the_inverse(word, line):
    pattern = re.escape(word)

    assert Filter(pattern, inverse=True).matches(line) != Filter(pattern).matches(line)


@given(st.text(st.sampled_from("abcdef"), min_size=1, max_size=6), st.lists(st.sampled_from("xyz ")))
def test_fuzzy_finds_letters_in_their_order_with_anything_between(word, between):
    gap = "".join(between)

    assert Filter.parse(f"-f {word}").matches(gap.join(word))
    assert not Filter.parse(f"-f {word}q").matches(gap.join(word))


@given(st.text(max_size=MAX_PATTERN + 20))
def test_anything_typed_is_a_filter_or_is_explained(typed):
    try:
        found = Filter.parse(typed)
    except BadFilter:
        pass
    else:
        assert Filter.parse(str(found)) == found
        found.matches("any line")


@pytest.mark.parametrize("typed", ("(", "[a", "*", "!(?P<", "a{2,1}"))
def test_a_broken_expression_is_explained(typed):
    with pytest.raises(BadFilter, match="no regular expression"):
        Filter.parse(typed)


def test_fields_are_one_line():
    assert Filter.parse("sal_1.*open").matches("sal_1", "Drop", "open")
