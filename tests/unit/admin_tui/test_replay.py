"""The replay as a state machine: whatever is pressed and answered, it stays inside the log and never jumps."""

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from admin_tui import replay
from admin_tui.replay import At, Position, ReplayState, Want
from admin_tui.wire import Frame

FIRST, LAST = 1, 500
START = 1_800_000_000_000


def time_of(position: int) -> int:
    """A log with one commit every 300 ms."""
    return START + 300 * position


def answer(want: Want, *, folded: int | None = None) -> Frame:
    """What a server says: the state at a position not after what is wanted, or as far as it has come."""
    asked = (want.at - START) // 300 if isinstance(want, At) else want.position
    target = max(FIRST, min(LAST, asked))
    position = target if folded is None else min(folded, target)
    return Frame("c1", "replay", time_of(position), position, target, position < target, FIRST, LAST)


class Replaying(RuleBasedStateMachine):
    @initialize(at=st.integers(START - 10_000, START + 200_000))
    def begins(self, at):
        self.now = START + 1_000_000
        self.state = replay.begin(At(at))

    @rule(folded=st.one_of(st.none(), st.integers(1, LAST)))
    def is_answered(self, folded):
        frame = answer(self.state.want, folded=folded)
        self.state = replay.shown(self.state, self.state.want, frame)
        assert self.state.settled == (frame.position == frame.target)
        assert (self.state.folding is None) == self.state.settled

    @rule(old=st.integers(FIRST, LAST))
    def is_answered_late(self, old):
        asked = Position(old)
        self.state = replay.shown(self.state, asked, answer(asked))
        assert self.state.settled == (self.state.want == asked)

    @rule()
    def is_declined(self):
        self.state = replay.declined(self.state, self.state.want, "no")
        assert not self.state.playing

    @rule(commits=st.integers(-3, 3))
    @precondition(lambda self: self.state.last > 0)
    def steps(self, commits):
        self.state = replay.stepped(self.state, commits)
        assert not self.state.playing
        assert isinstance(self.state.want, Position)
        assert FIRST <= self.state.want.position <= LAST

    @rule(seconds=st.sampled_from((-10, 10)))
    def skips(self, seconds):
        before = self.state
        self.state = replay.skipped(before, 1000 * seconds)
        assert self.state.playing == before.playing

    @rule()
    def plays_or_stands(self):
        self.state = replay.toggled(self.state, self.now)

    @rule()
    def changes_speed(self):
        self.state = replay.faster(self.state)

    @rule(passes=st.integers(0, 5000))
    def time_passes(self, passes):
        self.now += passes
        before = self.state
        self.state = replay.advanced(before, self.now)
        if not before.playing or not before.settled or before.refused:
            assert self.state.want == before.want
        else:
            origin = before.want.at if isinstance(before.want, At) else before.at
            on = self.state.want.at - origin if isinstance(self.state.want, At) else 0
            assert 0 <= on <= (self.now - before.played) * before.speed

    @invariant()
    def is_a_moment_that_can_be_asked_for(self):
        params = self.state.params
        assert list(params) in (["at"], ["position"])
        assert all(isinstance(value, int) and value >= 0 for value in params.values())
        assert self.state.speed in replay.SPEEDS
        assert self.state.folding is None or 0 <= self.state.folding <= 1


TestReplaying = Replaying.TestCase
TestReplaying.settings = settings(max_examples=60, stateful_step_count=30)


@given(st.integers(0, 20), st.sampled_from(replay.SPEEDS))
def test_played_time_is_the_clocks_times_the_speed_when_the_server_keeps_up(ticks, speed):
    state = replay.at_speed(ReplayState(At(START), settled=True), speed, START)
    for tick in range(1, ticks + 1):
        state = replay.advanced(state, START + 250 * tick)
        state = replay.shown(state, state.want, answer(state.want))

    assert state.want == At(START + 250 * ticks * speed)


def test_it_does_not_jump_when_the_server_was_behind():
    state = replay.at_speed(ReplayState(At(START)), 10, START)
    state = replay.advanced(state, START + 60_000)
    state = replay.shown(state, state.want, answer(state.want))
    state = replay.advanced(state, START + 60_250)

    assert state.want == At(START + 2500)


def test_it_passes_a_gap_in_which_nothing_happened():
    state = replay.at_speed(ReplayState(At(START + 1_000_000), settled=True), 1, START)
    for tick in (1, 2):
        state = replay.advanced(state, START + 250 * tick)
        state = replay.shown(state, state.want, answer(state.want))

    assert state.position == LAST
    assert state.want == At(START + 1_000_500)
    assert replay.is_over(state, START + 1_000_500)
