"""The screen of orders and holds, driven by keys over simulated cells."""

import csv
from contextlib import asynccontextmanager

import pytest

from admin_tui.app import TopApp
from admin_tui.replay import Position
from admin_tui.screens.orders import PAGE, OrdersScreen
from admin_tui.simulated_names import HOSTILE
from admin_tui.text import inert
from admin_tui.widgets.drawn import Drawn
from admin_tui.widgets.keyed_table import KeyedTable
from admin_tui.widgets.tabs import TabLine
from tests.unit.admin_tui.driving import Driven, driven


class OrdersRun:
    """A dashboard that shows orders."""

    def __init__(self, run: Driven) -> None:
        self.run = run
        self.feed = run.feed
        self.press = run.press
        self.until = run.until
        self.beat = run.beat
        self.command = run.command

    @property
    def screen(self) -> OrdersScreen:
        screen = self.run.app.visible_screen
        assert isinstance(screen, OrdersScreen)
        return screen

    @property
    def table(self) -> KeyedTable:
        return self.screen.rows

    @property
    def ids(self) -> list[str]:
        return list(self.table.keys)

    @property
    def state(self) -> str:
        return str(self.screen.query_one("#orders-state", Drawn).content)

    @property
    def sums(self) -> str:
        return str(self.screen.query_one("#orders-sums", Drawn).content)

    @property
    def detail(self) -> str:
        return str(self.screen.query_one("#order-facts", Drawn).content)

    @property
    def text(self) -> str:
        """What is on the terminal."""
        strips = self.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    def asked(self, path: str) -> list[dict[str, str]]:
        return [params for asked, params in self.feed.asked if asked == path]

    def newest(self, kind: str = "orders") -> list[str]:
        return list(getattr(self.feed.log.state, kind))[::-1]


@asynccontextmanager
async def orders(*, rows: bool = True, **given):
    async with driven(app_type=TopApp, **given) as driven_run:
        run = OrdersRun(driven_run)
        await run.press("f3")
        await run.until(lambda: driven_run.app.current_mode == "orders")
        if rows:
            await run.until(lambda: len(run.ids) == PAGE)
        yield run


# --- rows ---


async def test_the_newest_orders_are_shown_first_with_sums_over_them():
    async with orders(size=(140, 30)) as run:
        assert run.ids == run.newest()[:PAGE]
        shown = [run.feed.log.state.orders[id_] for id_ in run.ids]
        units, amount = sum(row.quantity for row in shown), sum(row.amount.amount for row in shown)

        assert f"{PAGE} shown · {units} units · {amount / 100:,.2f} EUR" in run.sums
        assert f"{PAGE} captured" in run.sums
        assert "✔ captured" in run.text
        assert str(run.screen.query_one(TabLine).render()).startswith(" orders ")


async def test_new_orders_come_in_front_at_a_calm_rate():
    async with orders() as run:
        asked = len(run.asked("/ops/orders"))
        await run.beat(1000)
        await run.run.pilot.pause(0.6)
        assert len(run.asked("/ops/orders")) == asked

        await run.beat(1500)
        await run.until(lambda: run.ids == run.newest()[: len(run.ids)] and len(run.ids) > PAGE)
        assert len(run.asked("/ops/orders")) == asked + 1
        assert "● newest first" in run.state


async def test_a_log_that_stands_is_not_asked_again():
    async with orders() as run:
        asked = len(run.asked("/ops/orders"))
        run.run.clock.advance(60_000)
        await run.run.pilot.pause(0.6)
        assert len(run.asked("/ops/orders")) == asked


async def test_the_row_under_the_cursor_stays_when_new_ones_come():
    async with orders() as run:
        await run.press("down", "down")
        key = run.table.key
        assert "‖ stands" in run.state
        await run.beat(3000)
        await run.until(lambda: len(run.ids) > PAGE)

        assert run.table.key == key
        assert run.ids.index(key) > 2


async def test_a_list_that_is_read_stands_when_too_many_new_ones_come():
    async with orders() as run:
        await run.press("down")
        before = run.ids
        await run.beat(120_000)
        await run.until(lambda: len(run.asked("/ops/orders")) > 1)
        await run.run.pilot.pause(0.3)
        assert run.ids == before

        await run.press("n")
        await run.until(lambda: run.ids == run.newest()[:PAGE])
        assert run.table.key == run.ids[0]
        assert "● newest first" in run.state


async def test_a_row_far_down_is_looked_at_again_too():
    async with orders() as run:
        await run.press("h")
        await run.until(lambda: len(run.ids) == PAGE)
        await run.press("end")
        await run.until(lambda: len(run.ids) > PAGE)
        await run.press("end")
        key = run.table.key
        await run.until(lambda: len(run.ids) > 2 * PAGE)
        await run.beat(3000)
        await run.until(lambda: any("cursor" in params for params in run.asked("/ops/holds")[-1:]))

        assert run.table.key == key


# --- paging ---


async def test_at_the_end_of_the_table_the_next_page_is_asked_for():
    async with orders() as run:
        await run.press("end")
        await run.until(lambda: len(run.ids) > PAGE)

        assert run.asked("/ops/orders")[-1]["cursor"] == run.ids[PAGE - 1]
        assert run.ids == run.newest()[: len(run.ids)]


async def test_a_key_looks_further_back_until_there_is_nothing_more():
    async with orders() as run:
        list_ = run.screen.query_one("#list")
        while "further back" in str(list_.border_subtitle):
            before = len(run.ids)
            await run.press("b")
            await run.until(lambda before=before: len(run.ids) > before)

        assert run.ids == run.newest()
        asked = len(run.asked("/ops/orders"))
        await run.press("b", "end")
        assert len(run.asked("/ops/orders")) == asked


# --- lists ---


async def test_holds_are_the_other_list_and_come_back_as_they_were():
    async with orders() as run:
        await run.press("down", "down", "h")
        await run.until(lambda: run.ids == run.newest("holds")[:PAGE])
        assert "held" in run.sums
        assert "EUR" not in run.sums
        assert run.screen.focused is run.table

        await run.press("h")
        assert run.ids == run.newest()[:PAGE]
        assert run.table.key == run.ids[2]


async def test_a_click_on_a_name_shows_its_list():
    async with orders() as run:
        tabs = run.screen.query_one(TabLine)
        await run.run.pilot.click(TabLine, offset=(tabs.size.width - 2, 0))
        await run.until(lambda: run.ids == run.newest("holds")[:PAGE])
        await run.run.pilot.click(TabLine, offset=(2, 0))
        await run.until(lambda: run.ids == run.newest()[:PAGE])


async def test_a_hold_counts_down():
    async with orders() as run:
        await run.press("h")
        await run.until(lambda: len(run.ids) == PAGE)
        held = next(key for key, each in run.table.rows.items() if each.row.status == "held")
        before = run.table.rows[held]
        await run.beat(3000)
        await run.until(lambda: run.table.rows[held].left not in ("", before.left))
        left = (before.row.expires_at - run.run.app.picture.at) // 1000
        await run.until(lambda: run.table.rows[held].left == f"1:{left - 60:02}")


# --- narrowing ---


async def test_a_filter_is_over_what_is_shown():
    async with orders() as run:
        run.run.app.command("filter vinyl")
        await run.until(lambda: 0 < len(run.ids) < PAGE)
        assert {each.title for each in run.table.rows.values()} == {"Vinyl, first pressing"}
        assert f"{len(run.ids)} shown" in run.sums
        assert len(run.asked("/ops/orders")) == 1


async def test_a_part_of_an_id_is_looked_for_by_the_server_too():
    async with orders() as run:
        oldest = run.newest()[-1]
        run.run.app.command(f"filter {oldest}")
        await run.until(lambda: run.ids == [oldest])
        assert run.asked("/ops/orders")[-1]["q"] == oldest


async def test_the_sale_and_the_buyer_of_a_row_narrow_the_list_and_escape_takes_it_back():
    async with orders() as run:
        row = run.screen.current
        await run.press("w")
        await run.until(lambda: {each.row.sale_id for each in run.table.rows.values()} == {row.sale_id})
        await run.press("u")
        await run.until(lambda: "buyer" in run.asked("/ops/orders")[-1])
        assert run.asked("/ops/orders")[-1]["sale"] == row.sale_id
        assert run.asked("/ops/orders")[-1]["buyer"] == row.buyer_id
        assert row.sale_id in run.state
        assert all(run.screen._wanted.has(each.row) for each in run.table.rows.values())

        await run.press("w", "u")
        assert not run.screen._wanted.is_narrowed
        await run.press("w", "escape")
        await run.until(lambda: len(run.ids) >= PAGE)
        assert run.run.app.current_mode == "orders"


async def test_states_are_gone_through_by_a_key():
    async with orders() as run:
        await run.press("h", "t", "t")
        await run.until(lambda: run.asked("/ops/holds")[-1].get("status") == "confirmed")
        await run.until(lambda: len(run.ids) == PAGE)
        assert {each.row.status for each in run.table.rows.values()} == {"confirmed"}


async def test_commands_name_list_sale_and_state():
    async with orders() as run:
        sale = run.screen.current.sale_id
        run.run.app.command(f"holds sale {sale} status released -f vi")
        await run.until(lambda: run.asked("/ops/holds")[-1:] != [])
        await run.until(lambda: str(run.screen.pattern) == "-f vi")
        assert run.asked("/ops/holds")[-1] == {"limit": str(PAGE), "sale": sale, "status": "released"}

        run.run.app.command("orders")
        await run.until(lambda: run.screen._wanted.tab == "orders" and not run.screen.pattern)
        await run.until(lambda: len(run.ids) >= PAGE)


@pytest.mark.parametrize(("name", "kind"), (("order", "orders"), ("hold", "holds")))
async def test_one_is_found_by_its_id_however_old_it_is(name, kind):
    async with orders() as run:
        oldest = run.newest(kind)[-1]
        run.run.app.command(f"{name} {oldest}")
        await run.until(lambda: run.ids == [oldest])
        assert run.screen.has_class("-open")
        await run.until(lambda: oldest in run.detail)


# --- one ---


async def test_the_detail_says_all_there_is():
    async with orders(size=(140, 40)) as run:
        row = run.screen.current
        for part in (row.id, row.hold_id, row.sale_id, row.buyer_id, f"{row.position:,}", "captured", "EUR"):
            assert part in run.detail
        assert all(f"#{unit}" in run.detail for unit in row.units)

        await run.press("h")
        await run.until(lambda: "status" in run.detail)
        hold = run.screen.current
        assert hold.id in run.detail
        assert ("ends" if hold.status == "held" else "settled") in run.detail


async def test_in_a_narrow_terminal_the_detail_is_opened_and_left():
    async with orders(size=(80, 24)) as run:
        detail = run.screen.query_one("#detail")
        assert not detail.display
        await run.press("enter")
        assert detail.display
        assert not run.screen.query_one("#list").display
        key = run.table.key
        await run.beat(3000)
        await run.until(lambda: len(run.ids) > PAGE)
        assert run.table.key == key
        assert key in run.detail

        await run.press("escape")
        assert not detail.display
        assert run.screen.focused is run.table


@pytest.mark.parametrize("keys", (("s",), ("enter", "enter")))
async def test_a_key_goes_to_the_sale(keys):
    async with orders() as run:
        sale = run.screen.current.sale_id
        await run.press(*keys)
        app = run.run.app
        await run.until(lambda: app.current_mode == "sales" and app.visible_screen.current is not None)
        await run.until(lambda: app.visible_screen.current.sale.id == sale)


async def test_a_key_goes_to_where_it_is_in_the_log():
    async with orders() as run:
        position = run.screen.current.position
        await run.press("down", "up", "l")
        app = run.run.app
        await run.until(lambda: app.current_mode == "log" and app.visible_screen.rows.current is not None)
        await run.until(lambda: app.visible_screen.rows.current.position == position)


# --- time travel ---


async def test_a_replay_asks_as_of_its_moment_and_shows_nothing_later():
    async with orders() as run:
        position = run.screen.current.position - 200
        run.run.app.command(f"at {position}")
        await run.until(lambda: "position" in run.asked("/ops/orders")[-1])
        await run.until(lambda: len(run.ids) == PAGE and f"up to {position:,}" in run.state)
        assert run.asked("/ops/orders")[-1]["position"] == str(position)
        assert all(each.row.position <= position for each in run.table.rows.values())

        await run.press("b")
        await run.until(lambda: "cursor" in run.asked("/ops/orders")[-1])
        assert run.asked("/ops/orders")[-1]["position"] == str(position)

        run.run.app.command("live")
        await run.until(lambda: run.ids == run.newest()[: len(run.ids)])
        assert "position" not in run.asked("/ops/orders")[-1]


async def test_a_replay_that_is_on_its_way_is_asked_again_until_it_is_there():
    async with orders() as run:
        run.feed.fold_at_once = 250
        run.run.app.command("at 600")
        await run.until(lambda: "on its way" in run.state or "up to 600" in run.state)
        newest = max(row.position for row in run.feed.log.state.orders.values() if row.position <= 600)
        await run.until(lambda: "up to 600" in run.state and run.screen.current.position == newest)


async def test_a_replay_from_here_is_of_the_row_under_the_cursor():
    async with orders() as run:
        await run.press("down", "down")
        position = run.screen.current.position
        await run.press("R")
        assert run.run.app.model.replay.want == Position(position)
        await run.until(lambda: run.ids != [] and run.ids[0] == run.table.key)
        await run.until(lambda: run.screen.current.position == position)


# --- what goes wrong ---


async def test_a_refusal_is_shown_in_the_servers_words_and_asked_again():
    async with orders() as run:
        before = run.ids
        run.feed.decline("/ops/orders", "unavailable", "Postgres is [bold]away[/].")
        await run.beat(3000)
        await run.until(lambda: "Postgres is [bold]away[/]." in run.state)
        assert run.ids == before

        run.feed.decline("/ops/orders")
        await run.beat(3000)
        await run.until(lambda: len(run.ids) > PAGE)
        assert "Postgres" not in run.state


async def test_a_first_question_without_an_answer_is_asked_again():
    async with driven(app_type=TopApp) as driven_run:
        driven_run.feed.decline("/ops/orders", "unavailable", "Not now.")
        run = OrdersRun(driven_run)
        await run.press("f3")
        await run.until(lambda: "Not now." in run.state)
        assert run.ids == []
        driven_run.feed.decline("/ops/orders")
        await run.beat(3000)
        await run.until(lambda: len(run.ids) == PAGE)


async def test_a_failure_is_shown_and_the_rows_stay():
    async with orders() as run:
        before = run.ids
        run.feed.lose("no route to host")
        await run.press("n")
        await run.until(lambda: "no route to host" in run.state)
        assert run.ids == before

        run.feed.regain()
        await run.beat(3000)
        await run.until(lambda: "● newest first" in run.state)


async def test_an_answer_to_what_is_no_longer_asked_is_left_out():
    async with orders() as run:
        run.feed.hold_answers()
        await run.press("h")
        await run.until(lambda: run.asked("/ops/holds") != [])
        await run.press("t")
        await run.until(lambda: len(run.asked("/ops/holds")) == 2)
        run.feed.let_answers()
        await run.until(lambda: run.ids != [])
        assert {each.row.status for each in run.table.rows.values()} == {"held"}


async def test_another_cell_has_other_orders():
    async with orders(cells=2) as run:
        run.run.app.select_cell("c2")
        other = list(run.run.feeds[1].log.state.orders)[::-1]
        await run.until(lambda: run.ids == other[:PAGE])


# --- text of people, files ---


@pytest.mark.parametrize("size", ((80, 24), (120, 30), (220, 60), (300, 80)))
async def test_hostile_titles_are_shown_as_text_and_nothing_else(size):
    async with orders(size=size) as run:
        await run.press("down")
        titles = {each.title for each in run.table.rows.values()}
        assert any(title in HOSTILE for title in titles)
        assert all(character.isprintable() or character == "\n" for character in run.text)
        assert "[bold red]" in run.text
        lines = run.text.split("\n")
        assert len(lines) == size[1]


async def test_what_is_shown_is_exported(tmp_path):
    async with orders(exports=tmp_path) as run:
        run.run.app.command("filter vinyl")
        await run.until(lambda: 0 < len(run.ids) < PAGE)
        await run.press("E")
        (path,) = tmp_path.iterdir()
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))

        assert path.name.startswith("titan-orders-")
        assert [row["id"] for row in rows] == run.ids
        assert {row["cell"] for row in rows} == {"c1"}
        assert {row["currency"] for row in rows} == {"EUR"}
        first = run.table.rows[run.ids[0]].row
        assert (rows[0]["amount"], rows[0]["units"]) == (
            str(first.amount.amount),
            " ".join(str(unit) for unit in first.units),
        )

        await run.press("h")
        await run.until(lambda: run.ids != [] and run.screen._wanted.tab == "holds")
        run.run.app.command("export json " + str(tmp_path / "holds.json"))
        assert inert(run.ids[0]) in (tmp_path / "holds.json").read_text()
