"""The board that follows the log, and boards that are taken to any moment of it."""

import asyncio
import contextlib

import pytest

from cells.kernel.errors import Rejected
from cells.log.port import LogUnavailable
from server.ops import replay
from server.ops.board import Board
from server.ops.replay import History, Replays, slices
from tests.unit.server.ops.paced import PacedLog
from tests.unit.server.ops.written import REGISTRIES, T0, Written, held
from tests.unit.server.store.history import History as Shop


@pytest.fixture(scope="module")
def commits():
    return Shop(3).in_memory(2_000)


@pytest.fixture(autouse=True)
def dense(monkeypatch):
    """Snapshots come often enough for a short log to have some."""
    monkeypatch.setattr(replay, "SNAPSHOT_EVENTS", 300)


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def folded(commits, position: int) -> bytes:
    board = Board(REGISTRIES)
    board.apply([each for each in commits if each.position <= position])
    return board.snapshot()


async def followed(log: PacedLog) -> History:
    """A history that has read all of a log."""
    history = History(log, REGISTRIES)
    at_end = asyncio.Event()

    def changed() -> None:
        if history.board.position == log.commits[-1].position:
            at_end.set()

    task = asyncio.create_task(history.follow(changed))
    async with asyncio.timeout(20):
        await at_end.wait()
        while not history.complete:  # noqa: ASYNC110 - it is at the end of the log already
            await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return history


async def test_the_log_is_followed_to_its_end_and_snapshots_are_kept(commits):
    history = await followed(PacedLog(commits))

    assert history.board.snapshot() == folded(commits, 2_000)
    assert len(history.snapshots) > 5
    assert history.complete


async def test_the_board_can_be_waited_for_and_is_not_waited_for_in_vain(commits):
    log = PacedLog(commits, seconds=0.002)
    history = History(log, REGISTRIES)
    await history.catch_up(0.01)
    assert history.board.position == 0

    task = asyncio.create_task(history.follow(lambda: None))
    await history.catch_up(20)
    assert history.board.position == 2_000
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_following_goes_on_where_it_was_when_the_log_was_away(commits):
    log = PacedLog(commits)
    history = History(log, REGISTRIES)
    await _cut(history, log, 500)
    position = history.board.position
    log.breaks = 1
    with pytest.raises(LogUnavailable):
        await history.follow(lambda: None)

    assert history.board.position == position == 500
    await _cut(history, log, 2_000)
    assert history.board.snapshot() == folded(commits, 2_000)


async def _cut(history: History, log: PacedLog, position: int) -> None:
    """Follow up to a position."""
    log.fill([each for each in log.commits if each.position <= position])
    task = asyncio.create_task(history.follow(lambda: None))
    async with asyncio.timeout(20):
        while history.board.position < position:  # noqa: ASYNC110 - the log ends there
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    log.fill(log.commits)


@pytest.mark.parametrize("position", (0, 1, 2, 499, 500, 501, 1_234, 1_999, 2_000))
async def test_a_replay_is_what_the_board_was(commits, position):
    log = PacedLog(commits)
    replays = Replays(log, await followed(log), Seconds())

    assert (await replays.reach(position)).snapshot() == folded(commits, position)


async def test_back_and_forth(commits):
    log = PacedLog(commits)
    replays = Replays(log, await followed(log), Seconds())

    for position in (1_000, 1_001, 1_002, 900, 901, 1_500, 899, 0, 2_000, 1_002):
        assert (await replays.reach(position)).snapshot() == folded(commits, position)
        assert len(replays) <= replay.MAX_REPLAYS


async def test_a_step_forward_reads_only_the_step(commits):
    log = PacedLog(commits, size=1)
    replays = Replays(log, await followed(log), Seconds())
    await replays.reach(1_000)
    log.fetched = 0
    await replays.reach(1_003)

    assert log.fetched == 3
    assert len(replays) == 1


async def test_asking_for_the_same_moment_again_reads_nothing(commits):
    log = PacedLog(commits)
    replays = Replays(log, await followed(log), Seconds())
    await replays.reach(1_000)
    log.fetched = 0
    await replays.reach(1_000)

    assert log.fetched == 0


async def test_one_that_takes_long_says_how_far_it_is_and_goes_on_when_asked_again(commits, monkeypatch):
    monkeypatch.setattr(replay, "SNAPSHOT_EVENTS", 10**9)
    log = PacedLog(commits)
    replays = Replays(log, await followed(log), Seconds())
    log.seconds = 0.01
    seen = []
    for _ in range(50):
        board = await replays.reach(2_000, 0.2)
        seen.append(board.position)
        assert board.snapshot() == folded(commits, board.position)
        if board.position == 2_000:
            break

    assert len(seen) > 2
    assert seen == sorted(set(seen))
    assert seen[-1] == 2_000


async def test_several_questions_about_one_moment_share_one_board(commits):
    log = PacedLog(commits, seconds=0.001)
    replays = Replays(log, await followed(log), Seconds())
    log.reads = 0
    boards = await asyncio.gather(*(replays.reach(1_990, 5) for _ in range(8)))

    assert {id(board) for board in boards} == {id(boards[0])}
    assert log.reads == 1


async def test_operators_at_different_moments_do_not_disturb_each_other(commits):
    log = PacedLog(commits, seconds=0.001)
    replays = Replays(log, await followed(log), Seconds())

    async def play(start: int) -> None:
        for position in range(start, start + 40, 7):
            board = await replays.reach(position, 5)
            assert board.position == position
            assert board.snapshot() == folded(commits, position)

    await asyncio.gather(play(300), play(310), play(1_500), play(40), play(305))
    assert len(replays) <= replay.MAX_REPLAYS


async def test_a_log_that_is_away_is_said_so_and_the_replay_is_whole_afterwards(commits):
    log = PacedLog(commits)
    replays = Replays(log, await followed(log), Seconds())
    log.breaks = 1
    with pytest.raises(LogUnavailable):
        await replays.reach(1_111)

    assert (await replays.reach(1_111)).snapshot() == folded(commits, 1_111)


async def test_what_nobody_asks_for_is_let_go(commits):
    log, seconds = PacedLog(commits), Seconds()
    replays = Replays(log, await followed(log), seconds)
    await replays.reach(100)
    seconds.now = replay.IDLE_SECONDS - 1
    await replays.reach(1_900)
    replays.sweep()
    assert len(replays) == 2

    seconds.now = replay.IDLE_SECONDS
    replays.sweep()
    assert len(replays) == 1


async def test_a_log_whose_beginning_is_archived(commits):
    later = [each for each in commits if each.position >= 700]
    log = PacedLog(later)
    history = History(log, REGISTRIES, 700)
    assert history.board.position == 699
    log.commits = later
    task = asyncio.create_task(history.follow(lambda: None))
    async with asyncio.timeout(20):
        while history.board.position < 2_000:  # noqa: ASYNC110 - the log ends there
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    board = await Replays(log, history, Seconds()).reach(699)

    assert (board.position, board.state.missing, history.board.state.missing) == (699, 0, 0)
    assert (await history.position_at(0)) == 699


# --- times ---------------------------------------------------------------------------------------------------------


def times(*seconds: int) -> list:
    written = Written()
    for number, second in enumerate(seconds, 1):
        written.at = T0 + second * 1_000
        written.sale(held(f"h{number}", number, at=written.at))
    return written.log


@pytest.mark.parametrize(
    ("second", "position"), ((-1, 0), (0, 1), (1, 1), (2, 3), (4, 3), (5, 5), (9, 6), (99, 6))
)
async def test_a_time_is_the_last_position_before_anything_later(second, position):
    history = await followed(PacedLog(times(0, 2, 2, 5, 3, 9)))

    assert await history.position_at(T0 + second * 1_000) == position


async def test_a_clock_that_was_set_back_does_not_bring_back_what_was():
    history = await followed(PacedLog(times(0, 100, 3, 4, 101)))

    assert await history.position_at(T0 + 50_000) == 1
    assert await history.position_at(T0 + 100_000) == 4


async def test_a_time_that_was_not_read_yet_is_not_guessed(commits):
    history = History(PacedLog(commits), REGISTRIES)
    with pytest.raises(Rejected) as refused:
        await history.position_at(T0)

    assert (refused.value.code, refused.value.retry_after_ms) == ("unavailable", replay.RETRY_MS)


# --- manners -------------------------------------------------------------------------------------------------------


def test_a_batch_is_folded_in_small_pieces_and_no_commit_is_cut():
    big = Written().raw("log.007.sale.sal_1", b"x" * 50_000).raw("log.007.sale.sal_1", b"x" * 50_000)
    big.raw("log.007.sale.sal_1", b"x" * 200_000).raw("log.007.sale.sal_1", b"x")

    assert [[each.position for each in piece] for piece in slices(big.log)] == [[1, 2], [3], [4]]
    assert slices([]) == []


async def test_folding_leaves_others_their_turn(commits):
    log = PacedLog(commits, size=2_000)
    history = History(log, REGISTRIES)
    turns = 0
    done = False

    async def others() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(others())
    await _cut(history, log, 2_000)
    done = True
    await counting

    assert turns >= len(slices(commits)) > 2
