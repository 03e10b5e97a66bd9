"""The overview, driven by keys: one cell, a few, and a crowd."""

import math

import msgspec
import pytest

from admin_tui.metrics import METRICS
from admin_tui.screens.overview import TURNS
from admin_tui.widgets.alerts import AlertList
from admin_tui.widgets.heatmap import HeatMap
from admin_tui.widgets.stat import Stat
from tests.unit.admin_tui.watching import watched


def number(run, name):
    """A total as it is shown, as a number."""
    return run.app.visible_screen.query_one(f"#total-{name}", Stat)._shown[0]


async def test_with_one_cell_its_sales_and_events_take_the_room_of_the_map():
    async with watched(size=(120, 40)) as run:
        await run.beats(2)
        await run.show("overview")

        assert not run.app.visible_screen.query(HeatMap)
        assert list(run.table("#event-rows").keys)
        assert "hold" in run.text("#vital-facts")
        assert "c1" in run.seen
        assert "Metric" not in run.seen


@pytest.mark.parametrize("cells", (1, 3, 12))
async def test_totals_are_the_sums_over_the_cells(cells):
    async with watched(cells=cells, size=(200, 60)) as run:
        await run.beats(3)
        await run.show("overview")
        folded = [feed.log.state for feed in run.feeds]

        assert number(run, "sold") == sum(sale.sold for each in folded for sale in each.sales.values())
        assert number(run, "held") == sum(sale.held for each in folded for sale in each.sales.values())
        assert number(run, "orders") == sum(sale.orders for each in folded for sale in each.sales.values())
        assert number(run, "open") == sum(
            sale.state == "open" for each in folded for sale in each.sales.values()
        )


async def test_rates_are_the_sums_over_the_cells():
    async with watched(cells=3) as run:
        await run.beats(2)
        await run.show("overview")
        frames = [cell.frame for cell in run.app.picture.cells]
        wanted = math.fsum(each.now for frame in frames for each in frame.series if each.name == "holds")
        spark = run.app.visible_screen.query_one("#spark-holds")

        assert str(spark._figure) == f"{wanted:.0f}/s"
        assert spark._values[-1] == wanted


async def test_the_metric_key_goes_through_all_of_them_and_back():
    async with watched(cells=3) as run:
        seen = []
        for _ in METRICS:
            seen.append(run.app.visible_screen.metric)
            assert seen[-1] in str(run.app.visible_screen.query_one("#heat").border_title)
            await run.press("m")

        assert seen == list(METRICS)
        assert run.app.visible_screen.metric == seen[0]
        await run.press("M")
        assert run.app.visible_screen.metric == seen[-1]


async def test_enter_on_the_map_opens_the_cell():
    async with watched(cells=3) as run:
        await run.press("right", "enter")
        await run.until(lambda: run.app.current_mode == "cell")

        assert run.app.picture.selected == "c2"


async def test_the_cell_under_the_cursor_is_the_one_that_c_shows():
    async with watched(cells=3) as run:
        await run.press("right", "right", "c")
        await run.until(lambda: run.app.current_mode == "cell")

        assert run.app.picture.selected == "c3"


async def test_enter_on_a_sale_opens_it():
    async with watched(cells=3) as run:
        await run.show("overview")
        table = run.table("#sale-rows")
        table.focus()
        await run.press("down", "enter")
        chosen = table.current.sale.id
        await run.until(lambda: run.app.current_mode == "sales" and run.screen_is_up)
        await run.until(lambda: run.app.visible_screen.current.sale.id == chosen)


async def test_enter_on_an_event_opens_it_in_the_log():
    async with watched() as run:
        await run.beats(1)
        await run.show("overview")
        table = run.table("#event-rows")
        table.focus()
        await run.press("down", "enter")
        position = table.current.position
        await run.until(lambda: run.app.current_mode == "log" and run.screen_is_up)
        await run.until(lambda: run.app.visible_screen.rows.current is not None)
        await run.until(lambda: run.app.visible_screen.rows.current.position == position)


async def test_what_moves_is_listed_and_opens_its_cell():
    async with watched(cells=3, size=(160, 50)) as run:
        await run.beats(6)
        await run.until(lambda: bool(run.app.picture.movers))
        await run.show("overview")
        table = run.table("#mover-rows")
        await run.until(lambda: bool(table.keys))
        table.focus()
        cell = table.current.cell
        await run.press("enter")
        await run.until(lambda: run.app.current_mode == "cell")

        assert run.app.picture.selected == cell


async def test_a_cell_that_is_lost_and_a_process_that_is_away_are_alerts_and_marks():
    async with watched(cells=3) as run:
        run.feeds[1].lose("connection refused")
        run.feeds[2].processes.kill("api")
        await run.beats(1)
        await run.until(lambda: len(run.app.picture.alerts) == 2)
        await run.show("overview")

        alerts = str(run.app.visible_screen.query_one(AlertList).content)
        assert "c2" in alerts
        assert "api is away" in alerts
        assert "x c2" in run.seen
        assert "1 down" in str(run.app.visible_screen.query_one("#heat").border_title)


async def test_alerts_that_have_no_room_are_counted():
    async with watched(cells=12, size=(80, 24)) as run:
        for feed in run.feeds:
            feed.processes.kill("api")
            feed.processes.kill("hub")
        await run.beats(1)
        await run.until(lambda: len(run.app.picture.alerts) == 24)
        await run.show("overview")

        assert "more (F6)" in str(run.app.visible_screen.query_one(AlertList).content)


async def test_a_filter_narrows_the_sales():
    async with watched(cells=3) as run:
        await run.show("overview")
        await run.command("filter paused")
        await run.until(lambda: bool(run.app.visible_screen.pattern))
        rows = run.table("#sale-rows").rows.values()

        assert {each.sale.state for each in rows} == {"paused"}


async def test_a_cell_can_be_named_and_a_word_filters():
    async with watched(cells=3) as run:
        run.app.visible_screen.aim("c3")
        assert run.app.visible_screen.query_one(HeatMap).current.id == "c3"
        run.app.visible_screen.aim("vinyl")
        assert str(run.app.visible_screen.pattern) == "vinyl"


async def test_the_export_has_every_cell_and_metric():
    async with watched(cells=3) as run:
        await run.beats(1)
        table = run.app.visible_screen.table()

        assert [row[0] for row in table.rows] == ["c1", "c2", "c3"]
        assert table.columns == ("cell", "state", *METRICS)


async def test_of_a_crowd_the_parts_take_turns_and_none_is_left_out():
    async with watched(cells=101) as run:
        await run.beats(1)
        await run.quiet()
        run.feed.log.append(
            "said",
            next(iter(run.feed.log.state.rooms)),
            "x",
            "y",
            {"message": "m", "name": "n"},
            run.clock.now(),
        )
        before = number(run, "chat")
        await run.beat()
        await run.until(lambda: run.app.model.picture(run.clock.now()).totals.messages > before)
        for _ in range(TURNS):
            run.app.paint()

        assert number(run, "chat") == run.app.picture.totals.messages


async def test_pictures_of_a_crowd_that_come_seldom_show_every_part_at_once():
    async with watched(cells=101) as run:
        picture = run.app.picture
        for said in (1001, 1002, 1003, 1004):
            totals = msgspec.structs.replace(picture.totals, messages=said)
            picture = msgspec.structs.replace(picture, totals=totals, at=picture.at + 5000)
            run.app.visible_screen.show(picture)
            assert number(run, "chat") == said
