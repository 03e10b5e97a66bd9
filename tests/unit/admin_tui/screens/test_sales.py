"""The screen of sales, driven by keys: looking, finding, ordering, and every action with its noes."""

import pytest
from textual.widgets import Input

from admin_tui.chrome.dialogs import Dialog
from tests.unit.admin_tui.watching import watched


async def at_sales(run, state=None):
    """Show the sales, the cursor on one in a state."""
    await run.show("sales")
    if state is not None:
        key = next(key for key, each in run.table("#rows").rows.items() if each.sale.state == state)
        run.table("#rows").move_to(key)
        await run.pilot.pause()
    return run.app.visible_screen.current.sale


async def fill(run, **fields):
    """Fill in the dialog that opens, and confirm it."""
    await run.until(lambda: isinstance(run.app.screen, Dialog) and run.app.screen.is_mounted)
    for name, value in fields.items():
        run.app.screen.query_one(f"#{name}", Input).value = value
    run.app.screen.query_one("#reason", Input).focus()
    await run.press("enter")


def newest(run):
    """The newest action as the operator sees it."""
    return next(iter(run.app.model.picture(run.clock.now()).actions))


def state_of(run, sale):
    """The state that a sale is shown in."""
    return next(each.sale.state for each in run.app.picture.sales if each.sale.id == sale.id)


# --- actions ---


@pytest.mark.parametrize(
    ("key", "what", "state", "after"),
    (
        ("a", "arm", "draft", "armed"),
        ("o", "open", "armed", "open"),
        ("p", "pause", "open", "paused"),
        ("u", "resume", "paused", "open"),
    ),
)
async def test_a_step_is_one_key_and_goes_from_requested_to_effective(key, what, state, after):
    async with watched(size=(140, 45)) as run:
        sale = await at_sales(run, state)
        await run.press(key)
        await run.until(lambda: newest(run).stage == "acknowledged")
        await run.beat()
        await run.until(lambda: newest(run).stage == "effective" and state_of(run, sale) == after)
        ((path, body, _),) = run.feed.posted

        assert path == f"/ops/sales/{sale.id}/{what}"
        assert body["expected_revision"] == sale.revision
        await run.until(lambda: "effective" in run.text("#sale-flight"))
        await run.until(lambda: what in run.text("#sale-trail"))


async def test_a_throttle_is_asked_for_and_shown():
    async with watched(size=(140, 45)) as run:
        sale = await at_sales(run, "open")
        await run.press("t")
        await fill(run, per_second="25", reason="queue too long")
        await run.until(lambda: bool(run.feed.posted))
        await run.beat()
        await run.until(lambda: "throttled 25/s" in run.text("#sale-head"))
        ((path, body, _),) = run.feed.posted

        assert path == f"/ops/sales/{sale.id}/throttle"
        assert (body["per_second"], body["reason"]) == (25, "queue too long")
        assert "throttle" in run.text("#sale-checks")


async def test_ending_needs_a_reason():
    async with watched() as run:
        sale = await at_sales(run, "open")
        await run.press("e")
        await fill(run)
        assert run.feed.posted == []
        await fill(run, reason="sold elsewhere")
        await run.until(lambda: bool(run.feed.posted))
        await run.beat()
        await run.until(lambda: state_of(run, sale) == "ended")


async def test_killing_needs_the_id_and_a_reason():
    async with watched() as run:
        sale = await at_sales(run, "open")
        await run.press("K")
        await fill(run, id="sal_other", reason="oversold elsewhere")
        assert run.feed.posted == []
        await fill(run, id=sale.id, reason="")
        assert run.feed.posted == []
        await fill(run, id=sale.id, reason="oversold elsewhere")
        await run.until(lambda: bool(run.feed.posted))
        await run.beat()
        await run.until(lambda: state_of(run, sale) == "killed")


@pytest.mark.parametrize("key", ("e", "K", "t"))
async def test_escape_thinks_better_of_it(key):
    async with watched() as run:
        await at_sales(run, "open")
        await run.press(key)
        await run.until(lambda: isinstance(run.app.screen, Dialog))
        await run.press("escape")
        await run.until(lambda: not isinstance(run.app.screen, Dialog))

        assert run.feed.posted == []


async def test_a_refused_action_says_why():
    async with watched(size=(140, 45)) as run:
        sale = await at_sales(run, "open")
        run.feed.refuse("conflict", "The sale is at revision 9, not 1.")
        await run.press("p")
        await run.until(lambda: newest(run).stage == "refused")
        await run.until(lambda: "The sale is at revision 9" in run.text("#sale-flight"))

        assert state_of(run, sale) == "open"
        assert any("refused" in notice for notice in run.notices)


async def test_an_action_without_an_answer_is_tried_again_under_its_key():
    async with watched(size=(140, 45)) as run:
        sale = await at_sales(run, "open")
        run.feed.fail()
        await run.press("p")
        await run.until(lambda: newest(run).stage == "failed")
        await run.until(lambda: "failed" in run.text("#sale-flight"))
        await run.press("y")
        await run.until(lambda: newest(run).stage in {"acknowledged", "effective"})
        await run.beat()
        await run.until(lambda: state_of(run, sale) == "paused")

        assert len({key for _, _, key in run.feed.posted}) == 1
        assert len(run.feed.posted) == 2


@pytest.mark.parametrize("how", ({"operate": False}, {"role": "viewer"}))
@pytest.mark.parametrize("key", ("p", "t", "e", "K"))
async def test_who_may_not_act_is_told_so_and_nothing_is_sent(how, key):
    async with watched(**how) as run:
        await at_sales(run, "open")
        await run.press(key)
        await run.until(lambda: bool(run.notices))

        assert run.feed.posted == []
        assert not isinstance(run.app.screen, Dialog)


async def test_only_what_can_be_done_has_a_key():
    async with watched(size=(200, 45)) as run:
        possible = {}
        for state in ("draft", "armed", "open", "paused", "ended"):
            await at_sales(run, state)
            steps = ("arm", "open", "pause", "resume", "throttle", "end", "kill")
            screen = run.app.visible_screen
            possible[state] = [what for what in steps if screen.check_action("steer", (what,))]

        assert possible == {
            "draft": ["arm", "throttle", "kill"],
            "armed": ["open", "throttle", "kill"],
            "open": ["pause", "throttle", "end", "kill"],
            "paused": ["resume", "throttle", "end", "kill"],
            "ended": [],
        }


async def test_in_a_replay_nothing_can_be_done():
    async with watched() as run:
        await at_sales(run, "open")
        run.app.replay_at(position=40)
        await run.until(lambda: run.app.picture.replay is not None and run.app.picture.replay.position == 40)
        await run.press("p", "K", "e")

        assert run.feed.posted == []
        assert run.app.screen is run.app.visible_screen


# --- looking ---


async def test_the_detail_is_that_of_the_sale_under_the_cursor():
    async with watched(size=(140, 60)) as run:
        await at_sales(run, "open")
        first = run.app.visible_screen.current.sale
        assert first.id in run.text("#sale-numbers")
        await run.press("down")
        await run.quiet()
        second = run.app.visible_screen.current.sale

        assert second.id != first.id
        assert second.id in run.text("#sale-numbers")
        assert "never" in run.text("#sale-checks")
        await run.until(lambda: "open" in run.text("#sale-trail"))


async def test_a_sale_opens_alone_in_a_narrow_terminal_and_escape_leaves_it():
    async with watched(size=(80, 24)) as run:
        sale = await at_sales(run, "armed")
        assert not run.app.visible_screen.query_one("#detail").display
        await run.press("enter")
        assert run.app.visible_screen.query_one("#detail").display
        assert run.app.visible_screen.trail == (sale.title,)
        await run.press("escape")
        assert not run.app.visible_screen.query_one("#detail").display
        assert run.app.current_mode == "sales"


async def test_sales_are_ordered_by_key_and_by_click():
    async with watched(size=(200, 40)) as run:
        await at_sales(run)
        await run.press("s", "s", "s", "s")
        table = run.table("#rows")
        sold = [each.sale.sold for each in table.rows.values()]
        assert sold == sorted(sold, reverse=True)
        run.app.visible_screen._order.column = ""
        await run.pilot.click("#rows", offset=(14, 0))
        await run.pilot.pause()
        titles = [each.sale.title.casefold() for each in table.rows.values()]
        assert titles == sorted(titles, reverse=True)


async def test_a_filter_narrows_and_its_inverse_does_the_rest():
    async with watched() as run:
        await at_sales(run)
        await run.command("filter vinyl")
        await run.until(lambda: len(run.table("#rows").keys) == 1)
        await run.command("filter !vinyl")
        await run.until(lambda: len(run.table("#rows").keys) == 7)


async def test_a_sale_that_is_in_no_frame_is_found_by_its_id():
    async with watched() as run:
        await at_sales(run)
        run.feed.log._draft(120, run.clock.now())
        await run.beat()
        framed = {sale.id for sale in run.feed.frame().sales}
        hidden = next(id_ for id_ in run.feed.log.state.sales if id_ not in framed)
        await run.command(f"sale {hidden}")
        await run.until(lambda: run.app.visible_screen.current.sale.id == hidden)

        assert run.app.visible_screen.trail


async def test_sales_that_are_in_no_frame_are_found_by_their_title():
    async with watched() as run:
        await at_sales(run)
        run.feed.log._draft(120, run.clock.now())
        await run.beat()
        await run.until(lambda: run.app.picture.cells[0].frame.more_sales > 0)
        everything = [sale for sale in run.feed.log.state.sales.values() if "Console" in sale.title]
        await run.command("filter Console")
        await run.until(lambda: len(run.table("#rows").keys) == len(everything))


async def test_a_sale_that_is_nowhere_is_said_to_be_nowhere():
    async with watched() as run:
        await at_sales(run)
        await run.command("sale sal_00000000000000000000000000000")
        await run.until(lambda: bool(run.notices))

        assert "no" in run.notices[0]


@pytest.mark.parametrize(("key", "mode"), (("v", "chat"), ("l", "log")))
async def test_the_room_and_the_log_of_a_sale_are_one_key_away(key, mode):
    async with watched() as run:
        sale = await at_sales(run, "open")
        await run.press(key)
        await run.until(lambda: run.app.current_mode == mode and run.screen_is_up)
        if mode == "chat":
            await run.until(lambda: run.app.visible_screen._room == sale.id)
        else:
            await run.until(lambda: bool(run.table("#rows").keys))
            assert {line.key for line in run.table("#rows").rows.values()} == {sale.id}


async def test_the_export_has_the_rows_that_are_listed():
    async with watched() as run:
        await at_sales(run)
        await run.command("filter paused")
        await run.until(lambda: len(run.table("#rows").keys) == 1)

        assert [row[3] for row in run.app.visible_screen.table().rows] == ["paused"]


async def test_what_cannot_be_asked_is_said_in_place_of_the_trail():
    async with watched(size=(140, 50)) as run:
        await at_sales(run)
        run.feed.lose("connection refused")
        await run.press("down")
        await run.until(lambda: "connection refused" in run.text("#sale-trail"))
