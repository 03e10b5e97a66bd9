"""The screens of health and help, driven by keys."""

from textual.binding import Binding

from admin_tui.app import TopApp
from admin_tui.commands import USAGE
from admin_tui.widgets.heatmap import HeatMap
from admin_tui.widgets.help_text import keys_of
from admin_tui.widgets.keyed_table import KeyedTable
from tests.unit.admin_tui.watching import watched


async def test_what_is_wrong_stands_first_with_what_mends_it():
    async with watched(size=(120, 40)) as run:
        run.feed.processes.kill("api", "ended with signal 9")
        await run.beat()
        await run.show("health")
        table = run.table("#check-rows")

        assert [each.state for each in table.rows.values()] == ["fail", "warn", "ok", "ok", "ok"]
        assert "api is away" in run.text("#mend")
        assert "titan status" in run.text("#mend")
        assert "2 to look at" in str(run.app.visible_screen.query_one("#checks").border_title)


async def test_the_mend_is_that_of_the_row_under_the_cursor_of_any_table():
    async with watched(cells=2, size=(120, 40)) as run:
        run.feeds[1].processes.kill("hub", "ended with signal 15")
        await run.beat()
        await run.until(lambda: bool(run.app.picture.alerts))
        await run.show("health")
        await run.press("down")
        assert "free some space" not in run.text("#mend") or "disk" in run.text("#mend")
        run.table("#all-alert-rows").focus()
        await run.pilot.pause()
        assert "hub is away" in run.text("#mend")
        run.table("#all-process-rows").focus()
        await run.pilot.pause()
        assert "titan logs hub" in run.text("#mend")


async def test_processes_that_are_away_stand_first():
    async with watched(cells=2, size=(120, 40)) as run:
        run.feeds[1].processes.kill("hub")
        await run.beat()
        await run.until(lambda: bool(run.app.picture.alerts))
        await run.show("health")

        assert next(iter(run.table("#all-process-rows").keys)) == "c2/hub"
        assert "1 away" in str(run.app.visible_screen.query_one("#all-processes").border_title)


async def test_checks_are_made_again_when_asked_for_and_now_and_then():
    async with watched() as run:
        await run.show("health")

        def asked():
            return [path for path, _ in run.feed.asked].count("/ops/health")

        once = asked()
        await run.press("u")
        await run.until(lambda: asked() == once + 1)
        await run.beat(11_000)
        await run.until(lambda: asked() == once + 2)


async def test_a_cell_that_does_not_answer_is_no_clean_bill():
    async with watched() as run:
        await run.show("health")
        run.feed.lose("connection refused")
        await run.press("u")
        await run.until(
            lambda: "connection refused" in str(run.app.visible_screen.query_one("#checks").border_subtitle)
        )


async def test_the_cell_of_an_alert_is_one_key_away():
    async with watched(cells=2) as run:
        run.feeds[1].processes.kill("hub")
        await run.beat()
        await run.until(lambda: bool(run.app.picture.alerts))
        await run.show("health")
        run.table("#all-alert-rows").focus()
        await run.press("c")
        await run.until(lambda: run.app.current_mode == "cell")

        assert run.app.picture.selected == "c2"


async def test_a_filter_narrows_all_three_tables():
    async with watched() as run:
        await run.show("health")
        await run.command("filter disk")
        await run.until(lambda: list(run.table("#check-rows").keys) == ["disk"])

        assert list(run.table("#all-process-rows").keys) == []
        assert len(run.app.visible_screen.table().rows) >= 4


async def test_the_help_has_every_key_and_command_there_is():
    async with watched(size=(200, 60)) as run:
        await run.show("help")
        shown = "\n".join(run.text(f"#help-{number}") for number in range(3))
        bindings = [each for each in TopApp.BINDINGS if isinstance(each, Binding)]
        for mode in TopApp.MODES.values():
            bindings += mode.__dict__.get("BINDINGS", [])
        bindings += [each for each in (*KeyedTable.BINDINGS, *HeatMap.BINDINGS) if isinstance(each, Binding)]

        for keys, description in keys_of(bindings):
            assert description in shown
            assert all(key in shown for key in keys.split())
        for how, what in USAGE.values():
            assert f":{how}" in shown
            assert what in shown


async def test_the_help_can_be_left():
    async with watched() as run:
        await run.show("sales")
        await run.show("help")
        await run.press("escape")
        await run.until(lambda: run.app.current_mode != "help")
