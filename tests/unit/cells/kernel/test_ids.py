"""Identifiers: well-formed, ordered by time, and never taken for something else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.kernel import ids

prefixes = st.sampled_from(sorted(ids.PREFIXES))
slots = st.integers(0, ids.SLOTS - 1)
times = st.integers(0, 2**48 - 1)
chances = st.binary(min_size=ids.ENTROPY_BYTES, max_size=ids.ENTROPY_BYTES)


@given(prefixes, slots, times, chances)
def test_an_identifier_is_parsed_to_what_it_was_made_of(
    prefix: str, slot: int, now: int, chance: bytes
) -> None:
    """Prefix, slot and time come back, and the UUID is a version 7 of variant 10."""
    text = ids.new_id(prefix, slot, now, chance)
    assert re.fullmatch(r"[a-z]{3}_[0-9a-f]{3}[0-9A-HJKMNP-TV-Z]{26}", text)
    parsed = ids.parse(text)
    assert (parsed.prefix, parsed.slot) == (prefix, slot)
    assert int.from_bytes(parsed.uuid[:6], "big") == now
    assert parsed.uuid[6] >> 4 == 7
    assert parsed.uuid[8] >> 6 == 0b10


@given(slots, times, times, chances, chances)
def test_identifiers_sort_by_time(slot: int, earlier: int, later: int, one: bytes, two: bytes) -> None:
    """Of two identifiers of a slot the one made later sorts behind."""
    if earlier < later:
        assert ids.new_id("ord", slot, earlier, one) < ids.new_id("ord", slot, later, two)


@given(st.text(max_size=40))
def test_arbitrary_text_is_no_identifier_or_round_trips(text: str) -> None:
    """Parsing never fails in another way than `BadId`."""
    try:
        ids.parse(text)
    except ids.BadId:
        assert not ids.is_id("sal", text)


@pytest.mark.parametrize(
    "text",
    (
        "",
        "sal_",
        "xyz_00001M84DQPJNF5BTC96G1E3V7H75",
        "sal_00G01M84DQPJNF5BTC96G1E3V7H75",
        "sal_00001M84DQPJNF5BTC96G1E3V7H7U",
        "sal_00001m84dqpjnf5btc96g1e3v7h75",
        "sal_000ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "sal_00001M84DQPJNF5BTC96G1E3V7H75 ",
        "sal_00001M84DQPJNF5BTC96G1E3V7H7\N{DIGIT FIVE}\N{COMBINING ACUTE ACCENT}",
    ),
)
def test_what_was_never_made_is_refused(text: str) -> None:
    """Foreign prefixes, bad digits, too large numbers and other lengths."""
    with pytest.raises(ids.BadId):
        ids.parse(text)


def test_an_owner_has_one_slot() -> None:
    """The slot is CRC-32 modulo 4,096, as clients compute it too."""
    assert ids.slot_of("ana@demo.shop") == ids.slot_of("ana@demo.shop")
    assert ids.slot_of("123456789") == 0xCBF43926 % 4096
