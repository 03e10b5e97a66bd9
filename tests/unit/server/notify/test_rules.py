"""The rules behind deliveries: endpoints, letters, subscriptions, delays, windows and cursors."""

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from cells.kernel.errors import Rejected
from cells.log.memory import MemoryLog
from server.notify import backoff
from server.notify.cursor import Cursor
from server.notify.window import Window
from server.push import decide as push
from server.push.model import MAX_SUBSCRIPTIONS, Subscribe, Subscribed, Unsubscribe, Unsubscribed
from server.webhooks import decide, letters
from server.webhooks.letters import (
    DOUBTFUL_AFTER,
    MAX_TRIES,
    Box,
    Deferred,
    Failed,
    LetterDead,
    Revive,
    Taken,
)
from server.webhooks.model import (
    MAX_ENDPOINTS,
    OVERLAP_MS,
    Add,
    EndpointAdded,
    EndpointPaused,
    EndpointRemoved,
    EndpointResumed,
    Pause,
    Redeliver,
    RedeliveryAsked,
    Remove,
    Resume,
    Rotate,
    SecretRotated,
)
from tests.unit.given import given
from tests.unit.server.notify.shop import CLOCK

ADDED = EndpointAdded("whk_1", "https://example.com/", ("order.created",), "", 1)
FAILED = Failed("evt_1", "order.created", b"{}", 500, "", 10)


def test_an_endpoint_is_added_once():
    add = Add("whk_1", "https://example.com/", ("order.created",), "")

    given(decide.DECIDER).when(add, 1).then(ADDED)
    given(decide.DECIDER, ADDED).when(add, 2).then()
    given(decide.DECIDER, ADDED, EndpointRemoved("whk_1", "gone", 2)).when(add, 3).then()


def test_a_merchant_has_ten_at_most():
    added = [EndpointAdded(f"whk_{n}", "https://example.com/", (), "", 1) for n in range(MAX_ENDPOINTS)]

    given(decide.DECIDER, *added).when(Add("whk_x", "https://example.com/", (), ""), 1).rejected(
        "limit_reached"
    )


def test_pausing_resuming_and_removing_are_idempotent():
    paused, removed = EndpointPaused("whk_1", "why", 2), EndpointRemoved("whk_1", "gone", 2)

    given(decide.DECIDER, ADDED).when(Pause("whk_1", "why"), 2).then(paused)
    given(decide.DECIDER, ADDED, paused).when(Pause("whk_1", "again"), 3).then()
    given(decide.DECIDER, ADDED, paused).when(Resume("whk_1"), 3).then(EndpointResumed("whk_1", 3))
    given(decide.DECIDER, ADDED).when(Resume("whk_1"), 3).then()
    given(decide.DECIDER, ADDED).when(Remove("whk_1", "gone"), 2).then(removed)
    given(decide.DECIDER, ADDED, removed).when(Remove("whk_1", "gone"), 3).then()
    given(decide.DECIDER).when(Remove("whk_1", "gone"), 3).rejected("not_found")


def test_a_rotation_is_repeated_safely_and_both_secrets_sign_for_a_day():
    rotated = SecretRotated("whk_1", 2, 100)

    state = given(decide.DECIDER, ADDED).when(Rotate("whk_1", 1), 100).then(rotated)
    given(decide.DECIDER, ADDED, rotated).when(Rotate("whk_1", 1), 101).then()
    endpoint = state.endpoints["whk_1"]
    assert endpoint.generations(100 + OVERLAP_MS - 1) == (2, 1)
    assert endpoint.generations(100 + OVERLAP_MS) == (2,)


def test_what_was_asked_for_again_is_remembered_by_its_time():
    asked = RedeliveryAsked("whk_1", ("evt_1",), 5)
    state = given(decide.DECIDER, ADDED).when(Redeliver("whk_1", ("evt_1",)), 5).then(asked)
    assert state.endpoints["whk_1"].asked_at("evt_1") == 5
    assert state.endpoints["whk_1"].asked_at("evt_2") == 0
    state = (
        given(decide.DECIDER, ADDED, asked).when(Redeliver("whk_1"), 9).then(RedeliveryAsked("whk_1", (), 9))
    )
    assert state.endpoints["whk_1"].asked_at("evt_2") == 9


def played(*commands: letters.Command) -> Box:
    box = Box()
    for now, command in enumerate(commands, start=1):
        for event in letters.decide(box, command, now):
            box = letters.evolve(box, event)
    return box


def test_a_letter_dies_after_its_last_try_and_lives_again_when_asked():
    box = played(*[FAILED] * MAX_TRIES)
    assert [letter.dead for letter in box.letters.values()] == [True]
    assert box.hopeless
    assert not box.due(1 << 50)
    given(
        letters.DECIDER, *[Deferred("evt_1", "t", b"", 500, "", 1, 1), LetterDead("evt_1", 500, "", 2)]
    ).when(FAILED, 3).then()

    revived = played(*[FAILED] * MAX_TRIES, Revive())
    assert [letter.event_id for letter in revived.due(1 << 50)] == ["evt_1"]


def test_of_an_endpoint_in_doubt_only_the_oldest_letter_is_tried():
    many = [Failed(f"evt_{n}", "t", b"", 500, "", 0) for n in range(DOUBTFUL_AFTER)]
    box = played(*many)

    assert box.doubtful
    assert [letter.event_id for letter in box.due(100)] == ["evt_0"]
    assert not played(*many, Taken("evt_0")).doubtful
    assert len(played(*many, Taken("evt_0")).due(100)) == DOUBTFUL_AFTER - 1
    assert played(*many, Taken("evt_elsewhere")).failures == 0


def test_a_taken_letter_is_forgotten_and_a_first_success_without_failures_says_nothing():
    assert played(FAILED, Taken("evt_1")) == Box({}, 0, 1)
    given(letters.DECIDER).when(Taken("evt_1"), 1).then()


def test_subscriptions_are_replaced_by_endpoint_and_bounded():
    one = Subscribed("psb_1", "https://push.example/1", b"p", b"a", 1)
    same = Subscribe("psb_2", "https://push.example/1", b"p", b"a")
    other = Subscribe("psb_2", "https://push.example/1", b"q", b"a")

    given(push.DECIDER, one).when(same, 2).then()
    given(push.DECIDER, one).when(other, 2).then(
        Unsubscribed("psb_1", "deleted", 2), Subscribed("psb_2", "https://push.example/1", b"q", b"a", 2)
    )
    given(push.DECIDER, one).when(Unsubscribe("psb_1", "gone"), 2).then(Unsubscribed("psb_1", "gone", 2))
    given(push.DECIDER).when(Unsubscribe("psb_1", "gone"), 2).then()
    full = [
        Subscribed(f"psb_{n}", f"https://push.example/{n}", b"p", b"a", 1) for n in range(MAX_SUBSCRIPTIONS)
    ]
    given(push.DECIDER, *full).when(Subscribe("psb_x", "https://push.example/x", b"p", b"a"), 2).rejected(
        "limit_reached"
    )


@for_all(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_delays_grow_to_a_ceiling_and_are_never_nothing(tries, chance):
    assert 1 <= backoff.delay_ms(tries, 5_000, 60_000, chance) <= 60_000


def test_all_tries_of_a_letter_take_about_a_day():
    delays = [
        backoff.delay_ms(n, letters.FIRST_DELAY_MS, letters.LONGEST_DELAY_MS, 0.5)
        for n in range(1, MAX_TRIES)
    ]
    assert 18 <= sum(delays) / 3_600_000 <= 30


@pytest.mark.parametrize(
    ("header", "milliseconds"),
    (
        (None, 0),
        ("7", 7_000),
        ("", 0),
        ("-1", 0),
        ("1e9", 0),
        ("99999999", 3_600_000),
        ("9" * 50, 0),
        ("٣", 0),
    ),
)
def test_only_seconds_are_taken_from_retry_after(header, milliseconds):
    assert backoff.retry_after_ms(header) == milliseconds


@for_all(st.lists(st.integers(0, 3), max_size=30), st.randoms())
def test_a_window_reaches_just_what_is_done_in_any_order(work, random):
    window, todo, done = Window(0), [], {}
    for position, pieces in enumerate(work, start=1):
        window.enter(position, pieces)
        done[position] = pieces
        todo += [position] * pieces
    random.shuffle(todo)
    for position in todo:
        window.done(position)
        done[position] -= 1
        assert all(not done[p] for p in range(1, window.reached + 1))
        assert all(not done[p] and p > window.reached for p in window.beyond())
        unfinished = [p for p, left in done.items() if left]
        if unfinished:
            assert window.reached == min(unfinished) - 1
    assert window.reached == len(work)
    assert len(window) == 0


async def test_a_cursor_is_found_again_and_one_that_another_moved_is_not_overwritten():
    log = MemoryLog()
    first, second = (Cursor(log, 3, "whk_1", CLOCK) for _ in range(2))
    assert (await first.load(7)).position == 7
    await second.load(7)
    window = Window(7)
    window.enter(8, 1)
    window.enter(9, 1)
    window.done(9)
    await first.save(window)
    await first.save(window)
    assert len(log.stored("log.>")) == 1
    window.done(8)
    with pytest.raises(Rejected):
        await second.save(window)
    found = await Cursor(log, 3, "whk_1", CLOCK).load(7)
    assert (found.position, found.beyond) == (7, (9,))
