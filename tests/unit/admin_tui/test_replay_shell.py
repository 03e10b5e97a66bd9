"""Time travel by keys and commands over simulated cells."""

from admin_tui.answers import Orders
from admin_tui.replay import At, Position, ReplayState, Want
from tests.unit.admin_tui.driving import Driven, driven


def state(run: Driven) -> ReplayState:
    return run.replay


def at_of(want: Want) -> int:
    assert isinstance(want, At)
    return want.at


async def settled(run: Driven) -> None:
    """Wait until what is wanted is shown."""
    await run.until(lambda: run.replay.settled and run.app.picture.replay == run.replay)


async def test_replay_from_here_shows_the_past_with_a_loud_banner():
    async with driven() as run:
        position = run.frame.position
        await run.press("R")
        await settled(run)
        await run.until(lambda: "REPLAY" in run.banner)

        assert state(run).position == position
        assert run.screen.has_class("-replay")
        assert f"position {position} of {position}" in run.banner
        assert run.app.picture.mode == "replay"


async def test_the_moment_that_a_screen_has_selected_is_where_it_begins():
    async with driven() as run:
        run.screen.moment = Position(100)
        await run.press("f8")
        await settled(run)
        assert state(run).position == 100


async def test_arrows_step_commits_and_with_shift_ten_seconds():
    async with driven() as run:
        run.app.command("at 300")
        await settled(run)
        await run.press("left")
        await settled(run)
        assert state(run).position == 299
        await run.press("right", "right")
        await settled(run)
        assert state(run).position == 301

        at = state(run).at
        await run.press("shift+left")
        await settled(run)
        assert at - 11_000 < state(run).at <= at - 10_000
        await run.press("shift+right")
        await settled(run)
        assert at - 1000 < state(run).at <= at


async def test_a_relative_moment_is_relative_to_what_is_shown():
    async with driven() as run:
        now = run.frame.at
        run.app.command("at -60s")
        await settled(run)
        assert state(run).want == At(now - 60_000)


async def test_it_plays_at_its_speed_and_stands():
    async with driven() as run:
        run.app.command("at -100s")
        await settled(run)
        began = at_of(state(run).want)
        await run.press("space")
        run.clock.advance(2000)
        await run.until(lambda: state(run).want == At(began + 2000))
        await run.press("x")
        assert state(run).speed == 10
        run.clock.advance(1000)
        await run.until(lambda: state(run).want == At(began + 12_000))
        assert "▶ ×10" in run.banner
        await run.press("space")
        assert not state(run).playing


async def test_a_replay_that_catches_up_becomes_live():
    async with driven() as run:
        run.app.command("at -10s")
        await settled(run)
        run.app.command("speed 60")
        run.clock.advance(1000)
        await run.until(lambda: run.app.model.replay is None)
        await run.until(lambda: "LIVE" in run.banner)


async def test_end_and_live_go_back_to_now():
    async with driven() as run:
        for key in ("end", ":live"):
            run.app.command("at 100")
            await settled(run)
            if key == "end":
                await run.press("end")
            else:
                run.app.command("live")
            await run.until(lambda: "LIVE" in run.banner)
            assert run.app.picture.mode == "live"


async def test_a_server_that_is_still_folding_shows_how_far_it_is():
    async with driven() as run:
        run.feed.fold_at_once = 0
        run.app.command("at 700")
        await run.until(lambda: "folding" in run.banner)
        assert state(run).folding == 0
        run.feed.fold_at_once = 150
        await settled(run)
        await run.until(lambda: "folding" not in run.banner)
        assert state(run).position == 700


async def test_nothing_can_be_changed_in_the_past():
    async with driven() as run:
        sale = run.sale("open")
        run.app.command("at 500")
        await settled(run)
        run.app.steer("c1", sale, "pause")
        run.app.steer("c1", sale, "kill")
        run.app.moderate("c1", sale.id, "lock", {"action": "lock"})
        await run.until(lambda: any("This is a replay" in notice for notice in run.notices))

        assert run.feed.posted == []
        assert len(run.app.screen_stack) == 1
        assert run.app.picture.why_not.startswith("This is a replay")


async def test_questions_of_screens_carry_the_moment():
    async with driven() as run:
        run.app.command("at 400")
        await settled(run)
        page = await run.app.ask("/ops/orders", {"limit": 5}, Orders)
        assert run.feed.asked[-1] == ("/ops/orders", {"limit": "5", "position": "400"})
        assert all(order.position <= 400 for order in page.items)

        run.app.command("live")
        await run.app.ask("/ops/orders", {"limit": 5}, Orders)
        assert run.feed.asked[-1] == ("/ops/orders", {"limit": "5"})


async def test_other_cells_are_shown_as_of_the_time_of_the_one_that_leads():
    async with driven(cells=3) as run:
        run.app.command("at 400")
        await settled(run)
        at = state(run).at
        await run.until(lambda: all(cell.frame is not None for cell in run.app.picture.cells))
        assert all(frame.at <= at for frame in run.frames)
        assert run.app.picture.totals.orders == sum(frame.totals.orders for frame in run.frames)

        await run.command("cell c2")
        await settled(run)
        assert state(run).want == At(at)


async def test_a_cell_that_does_not_answer_makes_the_replay_stand_and_says_why():
    async with driven() as run:
        run.app.command("at 400")
        await settled(run)
        run.feed.lose("connection reset")
        await run.press("left")
        await run.until(lambda: state(run).refused != "")
        await run.until(lambda: "connection reset" in run.banner)
        run.feed.regain()
        await run.press("left")
        await settled(run)
        assert state(run).refused == ""


async def test_live_frames_go_on_behind_the_replay_and_the_clock_of_actions_too():
    async with driven() as run:
        before = run.app.model.picture(0).totals.orders
        run.app.command("at 100")
        await settled(run)
        run.clock.advance(30_000)
        run.feed.beat()
        await run.press("end")
        await run.until(lambda: run.app.picture.totals.orders > before)


async def test_keys_of_the_replay_are_letters_while_something_is_typed():
    async with driven() as run:
        run.app.command("at 400")
        await settled(run)
        await run.press("colon")
        await run.type("sales x")
        await run.press("left")
        assert run.input().value == "sales x"
        assert state(run).position == 400


async def test_a_moment_that_is_none_is_explained():
    async with driven() as run:
        await run.command("at noon")
        assert "is no moment" in run.text("#wrong")
        assert run.app.model.replay is None
