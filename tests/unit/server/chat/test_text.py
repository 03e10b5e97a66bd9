"""Hostile text arrives inert."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.chat.text import MAX_CHARS, blocked, clean, folded


@pytest.mark.parametrize(
    ("text", "kept"),
    (
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x9b31m", "31m"),
        ("a\u202egnp.exe\u202c", "agnp.exe"),
        ("\u2066x\u2069\u200e\u200f\u061c", "x"),
        ("pay\u200bpal", "paypal"),
        ("\ufeffhi\u2060", "hi"),
        ("a\x00b", "ab"),
        ("one\r\ntwo\u2028three\x85four", "one\ntwo\nthree\nfour"),
        ("  tab\tstays  ", "tab\tstays"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("e\u0301", "é"),
        ("flag\U000e0067\U000e007f", "flag"),
    ),
)
def test_what_is_left_of_a_text(text: str, kept: str) -> None:
    assert clean(text) == kept


@given(st.text(max_size=3_000))
def test_what_is_kept_is_composed_and_has_no_controls_and_stays_as_it_is(text: str) -> None:
    kept = clean(text)
    if kept is None:
        return
    assert 1 <= len(kept) <= MAX_CHARS
    assert unicodedata.is_normalized("NFC", kept)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" for c in kept)
    assert not set(kept) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff")
    assert clean(kept) == kept


@given(st.text(alphabet=st.characters(categories=["L"]), min_size=1, max_size=12))
def test_a_word_is_blocked_however_it_is_written(word: str) -> None:
    written = word.upper()
    assert blocked(f"so {written} it", (folded(word),)) or folded(written) != folded(word)
