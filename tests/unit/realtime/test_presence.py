"""Presence over several hubs: sums, and forgetting who died."""

from realtime.events import Presence
from realtime.presence import CHANNELS_PER_MESSAGE, LIFE_MS, Board, Here, told


def at(node: str, count: int, *people: str) -> Presence:
    return Presence(node, {"room:x": count}, {"room:x": people} if people else {})


def test_counts_are_summed_and_people_are_one_set():
    board = Board("h1")
    board.take(at("h2", 2, "ada", "bob"), 0)
    board.take(at("h3", 1, "bob"), 0)

    assert board.total("room:x", Here(1, frozenset({"cyd"}))) == Here(4, frozenset({"ada", "bob", "cyd"}))


def test_only_changes_are_news_and_ones_own_beats_are_none():
    board = Board("h1")

    assert board.take(at("h1", 5), 0) == []
    assert board.alone
    assert board.take(at("h2", 5), 0) == ["room:x"]
    assert board.take(at("h2", 5), 1_000) == []
    assert board.take(at("h2", 0), 2_000) == ["room:x"]
    assert board.total("room:x", Here()) == Here()


def test_a_hub_that_beats_no_more_is_forgotten():
    board = Board("h1")
    board.take(at("h2", 5), 0)
    board.take(at("h3", 1), 1_000)

    assert board.expire(LIFE_MS - 1) == []
    assert board.expire(LIFE_MS) == ["room:x"]
    assert board.total("room:x", Here()) == Here(1)
    assert board.expire(LIFE_MS + 1_000) == ["room:x"]
    assert board.alone


def test_a_hub_tells_of_itself_even_when_nobody_is_there_and_a_big_one_in_parts():
    many = {f"room:{i}": Here(1, frozenset({"ada"})) for i in range(CHANNELS_PER_MESSAGE + 1)}

    assert [message.counts for message in told("h1", {})] == [{}]
    assert [len(message.counts) for message in told("h1", many)] == [CHANNELS_PER_MESSAGE, 1]
