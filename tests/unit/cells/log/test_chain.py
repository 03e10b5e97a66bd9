"""The chain of an aggregate: any change of its past breaks it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.kernel import envelope
from cells.kernel.codec import EventKind, Registry
from cells.log import subjects
from cells.log.chain import Broken, Chain
from cells.log.port import Stored


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """A number."""

    number: int


REGISTRY = Registry([EventKind("Counted", Counted)])


def written(numbers: list[int]) -> list[Stored]:
    """Commit each number, chained."""
    chain, log = Chain(), []
    for position, number in enumerate(numbers, start=1):
        body = envelope.encode(REGISTRY, chain.version + 1, position, chain.hash, [Counted(number)])
        log.append(Stored(position, "log.001.thing.t", body))
        chain.advance(position, body)
    return log


def follow(log: list[Stored]) -> Chain:
    """Follow all."""
    chain = Chain()
    for stored in log:
        chain.follow(stored)
    return chain


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20))
def test_an_untouched_chain_is_followed_to_its_end(numbers: list[int]) -> None:
    """Version and position are those of the last commit."""
    chain = follow(written(numbers))
    assert (chain.version, chain.position) == (len(numbers), len(numbers))


@given(st.lists(st.integers(0, 100), min_size=3, max_size=20), st.data())
def test_a_missing_swapped_repeated_or_altered_commit_breaks_it(
    numbers: list[int], data: st.DataObject
) -> None:
    """Whatever is done to the middle is found when the next commit is read."""
    log = written(numbers)
    i = data.draw(st.integers(0, len(log) - 2))
    altered = bytearray(log[i].body)
    altered[-1] ^= 1
    damaged = data.draw(
        st.sampled_from(
            [
                log[:i] + log[i + 1 :],
                [*log[:i], log[i + 1], log[i], *log[i + 2 :]],
                log[: i + 1] + log[i:],
                [*log[:i], Stored(log[i].position, log[i].subject, bytes(altered)), *log[i + 1 :]],
            ]
        )
    )
    with pytest.raises(Broken):
        follow(damaged)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    (
        ("log.>", "log.001.sale.s", True),
        ("log.*.sale.*", "log.001.sale.s", True),
        ("log.*.sale.*", "log.001.pay.s", False),
        ("log.*.sale.*", "log.001.sale", False),
        ("log.001.sale.s", "log.001.sale.s", True),
        ("log.001.sale.s", "log.001.sale.s.more", False),
        ("log.>", "log", False),
    ),
)
def test_filters_select_as_nats_does(pattern: str, name: str, *, expected: bool) -> None:
    """The memory adapter's wildcards."""
    assert subjects.matches(pattern, name) is expected
