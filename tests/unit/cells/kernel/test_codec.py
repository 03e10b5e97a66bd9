"""Events survive their own history: old versions are upcast, unknown ones stop the reader."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.kernel import envelope
from cells.kernel.codec import EventKind, Registry, UnknownEvent


class PriceSetV1(msgspec.Struct, frozen=True, array_like=True):
    """As it was: a bare amount."""

    amount: int


class PriceSet(msgspec.Struct, frozen=True, array_like=True):
    """As it is: with a currency, and a note that was added at the end."""

    amount: int
    currency: str
    note: str = ""


OLD = Registry([EventKind("PriceSet", PriceSetV1)])
NEW = Registry([EventKind("PriceSet", PriceSet, 2, {1: lambda fields: [*fields, "EUR"]})])


def test_an_old_event_is_upcast() -> None:
    """A commit that an earlier release wrote reads in today's shape."""
    body = envelope.encode(OLD, 1, 0, envelope.GENESIS, [PriceSetV1(4990)])
    assert envelope.decode(NEW, body).events == [PriceSet(4990, "EUR")]


def test_an_event_from_the_future_is_not_skipped() -> None:
    """An older release refuses what it cannot know."""
    body = envelope.encode(NEW, 1, 0, envelope.GENESIS, [PriceSet(4990, "EUR")])
    with pytest.raises(UnknownEvent):
        envelope.decode(OLD, body)


def test_a_name_nobody_knows_is_not_skipped() -> None:
    """Another aggregate's events are not read as one's own."""
    body = envelope.encode(OLD, 1, 0, envelope.GENESIS, [PriceSetV1(1)])
    with pytest.raises(UnknownEvent):
        envelope.decode(Registry([]), body)


def test_a_version_without_its_upcaster_is_refused_at_start() -> None:
    """The gap is found when the program starts, not when the event is met."""
    with pytest.raises(ValueError, match="no upcaster"):
        Registry([EventKind("PriceSet", PriceSet, 3, {1: list})])


@given(
    st.integers(1, 2**40),
    st.integers(0, 2**42),
    st.binary(min_size=32, max_size=32),
    st.lists(st.integers(0, 9)),
)
def test_a_commit_round_trips(version: int, at: int, prev: bytes, amounts: list[int]) -> None:
    """What is decoded is what was encoded, and the header can be read without the events."""
    events = [PriceSet(a, "EUR") for a in amounts]
    body = envelope.encode(NEW, version, at, prev, events)
    assert envelope.decode(NEW, body) == envelope.Commit(version, at, prev, events)
    assert envelope.peek(body) == envelope.Header(version, at, prev)


@given(st.binary(max_size=64))
def test_garbage_is_a_decode_error_and_nothing_else(body: bytes) -> None:
    """A reader can rely on two kinds of failure."""
    try:
        envelope.decode(NEW, body)
    except (msgspec.MsgspecError, UnknownEvent):
        return
