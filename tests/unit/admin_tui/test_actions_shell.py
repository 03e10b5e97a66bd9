"""Actions from the key to the effect: accepted, refused, unanswered, tried again, and not allowed at all."""

import pytest
from textual.widgets import Input

from admin_tui.actions import Action, Life
from admin_tui.chrome.acts import Acts
from admin_tui.chrome.dialogs import Dialog
from tests.unit.admin_tui.driving import Driven, driven

NONE = Life(Action("", "none yet", "", ""))


def newest(run: Driven) -> Life:
    return next(iter(run.app.model.picture(run.clock.now()).actions), NONE)


def story(run: Driven) -> str:
    return str(run.screen.query_one(Acts).content)


async def typed(run: Driven, field: str, text: str) -> None:
    """Put text into a field of the dialog that is open."""
    await run.until(lambda: isinstance(run.app.screen, Dialog) and len(run.app.screen.query(field)) == 1)
    run.app.screen.query_one(field, Input).value = text


async def decide(run: Driven) -> None:
    """Click the button that does it, once it takes a click again."""
    button = run.app.screen.query_one("#do")
    await run.until(lambda: not button.has_class("-active"))
    await run.pilot.click("#do")


@pytest.mark.parametrize(
    ("what", "state", "after"),
    (
        ("arm", "draft", "armed"),
        ("open", "armed", "open"),
        ("pause", "open", "paused"),
        ("resume", "paused", "open"),
    ),
)
async def test_a_step_is_requested_then_acknowledged_then_effective(what, state, after):
    async with driven() as run:
        sale = run.sale(state)
        run.feed.hold_answers()
        run.app.steer("c1", sale, what)
        await run.until(lambda: newest(run).stage == "requested" and "requested" in story(run))
        run.feed.let_answers()
        await run.until(lambda: newest(run).stage == "acknowledged")
        assert newest(run).revision == sale.revision + 1
        await run.beat(400)
        await run.until(lambda: newest(run).stage == "effective" and "effective +400 ms" in story(run))

        shown = next(each.sale for each in run.app.picture.sales if each.sale.id == sale.id)
        assert shown.state == after
        ((path, body, key),) = run.feed.posted
        assert path == f"/ops/sales/{sale.id}/{what}"
        assert body == {"reason": "", "expected_revision": sale.revision}
        assert key == "key-1"


async def test_killing_asks_for_the_id_and_a_reason():
    async with driven() as run:
        sale = run.sale("open")
        run.app.steer("c1", sale, "kill")
        await typed(run, "#id", "sal_other")
        await decide(run)
        assert "That is not" in run.text("#wrong")
        await typed(run, "#id", sale.id)
        await decide(run)
        assert "Give a reason" in run.text("#wrong")
        assert run.feed.posted == []

        run.app.screen.query_one("#reason").focus()
        await run.type("wrong price")
        await run.press("enter")
        await run.until(lambda: newest(run).stage == "acknowledged")
        assert run.feed.posted[0][1]["reason"] == "wrong price"
        assert run.feed.log.state.sales[sale.id].state == "killed"


@pytest.mark.parametrize("what", ("end", "kill", "throttle"))
async def test_thinking_better_of_it_sends_nothing(what):
    async with driven() as run:
        run.app.steer("c1", run.sale("open"), what)
        await run.until(lambda: isinstance(run.app.screen, Dialog))
        await run.press("escape")
        await run.until(lambda: not isinstance(run.app.screen, Dialog))
        assert run.feed.posted == []


async def test_ending_asks_for_a_reason():
    async with driven() as run:
        sale = run.sale("paused")
        run.app.steer("c1", sale, "end")
        await typed(run, "#reason", "over")
        await run.press("enter")
        await run.until(lambda: run.feed.posted != [])
        assert run.feed.posted[0][1] == {"reason": "over", "expected_revision": sale.revision}


@pytest.mark.parametrize(("entered", "sent"), (("25", 25), ("", None)))
async def test_a_throttle_is_a_number_or_nothing(entered, sent):
    async with driven() as run:
        sale = run.sale("open")
        run.app.steer("c1", sale, "throttle")
        await typed(run, "#per_second", "0")
        await decide(run)
        assert "whole number" in run.text("#wrong")
        await typed(run, "#per_second", entered)
        await decide(run)
        await run.until(lambda: newest(run).stage == "acknowledged")
        await run.beat()
        await run.until(lambda: newest(run).stage == "effective")
        assert run.feed.posted[0][1]["per_second"] == sent
        assert run.feed.log.state.sales[sale.id].throttle == sent


async def test_a_refusal_shows_the_words_of_the_server():
    async with driven() as run:
        run.feed.refuse("conflict", "The sale is at revision 9, not 1.")
        run.app.steer("c1", run.sale("open"), "pause")
        await run.until(lambda: newest(run).stage == "refused" and "REFUSED" in story(run))
        assert "revision 9" in story(run)
        assert any("revision 9" in notice for notice in run.notices)

        await run.press("y")
        await run.until(lambda: "There is nothing to try again." in run.notices)
        assert len(run.feed.posted) == 1


async def test_a_sale_that_moved_meanwhile_is_not_touched():
    async with driven() as run:
        sale = run.sale("open")
        run.feed.log.move(sale.id, "pause", "somebody", "faster", run.clock.now())
        run.app.steer("c1", sale, "pause")
        await run.until(lambda: newest(run).stage == "refused")
        assert newest(run).code == "conflict"


async def test_no_answer_may_have_been_done_and_a_retry_has_the_same_key():
    async with driven() as run:
        sale = run.sale("open")
        run.feed.fail()
        run.app.steer("c1", sale, "pause")
        await run.until(lambda: newest(run).stage == "failed" and "NO ANSWER" in story(run))
        assert run.feed.log.state.sales[sale.id].state == "paused"

        await run.press("y")
        await run.until(lambda: newest(run).stage == "acknowledged")
        assert [key for _, _, key in run.feed.posted] == ["key-1", "key-1"]
        assert run.feed.log.state.sales[sale.id].revision == sale.revision + 1
        assert newest(run).tries == 2


async def test_a_refusal_for_now_can_be_tried_again():
    async with driven() as run:
        run.feed.refuse("unavailable", "The writer is away.")
        run.app.steer("c1", run.sale("open"), "pause")
        await run.until(lambda: newest(run).stage == "refused")
        await run.press("y")
        await run.until(lambda: newest(run).stage == "acknowledged")


async def test_a_lost_cell_does_not_answer():
    async with driven() as run:
        run.feed.lose("connection refused")
        await run.until(lambda: "LOST" in run.banner)
        run.app.steer("c1", run.sale("open"), "pause")
        await run.until(lambda: newest(run).stage == "failed")
        assert "connection refused" in newest(run).word


async def test_a_moderation_is_effective_with_its_answer():
    async with driven() as run:
        room = run.sale("open").id
        run.app.moderate("c1", room, "lock the room", {"action": "lock", "reason": "calm down"})
        await run.until(lambda: newest(run).stage == "effective")
        assert run.feed.log.state.rooms[room].locked


@pytest.mark.parametrize(
    ("operate", "role", "why"),
    ((False, "admin", "read-only"), (True, "viewer", "role viewer"), (True, "", "role unknown")),
)
async def test_who_may_not_act_sends_nothing_and_is_told_why(operate, role, why):
    async with driven(operate=operate, role=role or "viewer") as run:
        if not role:
            run.app.model._tracks["c1"].role = ""
        run.app.steer("c1", run.sale("open"), "pause")
        run.app.steer("c1", run.sale("open"), "kill")
        run.app.moderate("c1", run.sale("open").id, "lock", {"action": "lock"})
        await run.until(lambda: any(why in notice for notice in run.notices))
        assert run.feed.posted == []
        assert not isinstance(run.app.screen, Dialog)


async def test_a_dialog_that_was_open_when_the_role_went_sends_nothing():
    async with driven() as run:
        run.app.steer("c1", run.sale("open"), "end")
        await typed(run, "#reason", "over")
        run.app.model._tracks["c1"].role = "viewer"
        await decide(run)
        await run.until(lambda: any("role viewer" in notice for notice in run.notices))
        assert run.feed.posted == []


async def test_a_hostile_title_is_inert_in_dialog_story_and_notice():
    async with driven() as run:
        sale = next(each.sale for each in run.app.picture.sales if "\x1b" in each.sale.title)
        run.app.steer("c1", sale, "end")
        await run.until(lambda: isinstance(run.app.screen, Dialog))
        await typed(run, "#reason", "[bold]why[/]")
        run.feed.refuse("conflict", "\x1b[2J[red]no[/] \u202etxt")
        await decide(run)
        await run.until(lambda: newest(run).stage == "refused" and "REFUSED" in story(run))

        await run.until(lambda: run.notices != [])
        text = story(run) + run.notices[0]
        assert text.isprintable()
        assert "[red]no[/]" in story(run)
