"""The shell around the screens, driven by keys over simulated cells."""

import csv
import json

import pytest
from textual import events
from textual.command import CommandList

from admin_tui.chrome.prompt import Prompt
from admin_tui.commands import RATES
from tests.unit.admin_tui.driving import Driven, OtherScreen, driven


async def test_the_banner_says_where_when_and_what_may_be_done():
    async with driven() as run:
        assert "TITAN ▸ c1" in run.banner
        assert "LIVE" in run.banner
        assert "oversold 0" in run.banner
        assert "[OPERATE]" in run.banner


@pytest.mark.parametrize(("operate", "role"), ((False, "operator"), (True, "viewer")))
async def test_the_banner_says_read_only_without_the_flag_or_without_the_role(operate, role):
    async with driven(operate=operate, role=role) as run:
        assert "[read-only]" in run.banner


@pytest.mark.parametrize("width", (80, 100, 160, 300))
async def test_the_banner_fits_every_width_and_keeps_what_counts(width):
    async with driven(size=(width, 24)) as run:
        assert len(run.banner) <= width
        assert "LIVE" in run.banner
        assert "⚠" in run.banner


async def test_the_clock_of_the_banner_moves_with_the_clock():
    async with driven() as run:
        before = run.banner
        run.clock.advance(1700)
        await run.until(lambda: run.banner != before)
        assert ".7" in run.banner


async def test_totals_over_cells_are_sums():
    async with driven(cells=3) as run:
        assert run.app.picture.totals.orders == sum(frame.totals.orders for frame in run.frames)
        assert "3 cells" in run.banner


# --- connection ---


async def test_a_lost_cell_is_told_and_the_last_picture_stays_grey():
    async with driven() as run:
        sales = run.app.picture.totals.sales
        run.feed.lose("connection closed (1006)")
        await run.until(lambda: "LOST" in run.banner)
        run.clock.advance(12_000)
        await run.until(lambda: "12s" in run.banner)

        assert "connection closed (1006)" in run.banner
        assert run.screen.has_class("-stale")
        assert run.app.picture.totals.sales == sales > 0


async def test_the_picture_of_a_lost_cell_looks_grey():
    def colours(run: Driven) -> object:
        (x, y, *_) = run.screen.query_one("#text").region
        strip = run.app.screen._compositor.render_strips()[y]
        return next(iter(strip.crop(x, x + 1))).style

    async with driven() as run:
        before = colours(run)
        run.feed.lose("gone")
        await run.until(lambda: run.screen.has_class("-stale") and colours(run) != before)


async def test_a_regained_cell_is_live_again_and_asked_whose_the_key_is():
    async with driven() as run:
        run.feed.lose()
        await run.until(lambda: "LOST" in run.banner)
        run.feed.role = "viewer"
        run.feed.regain()
        await run.until(lambda: "LIVE" in run.banner and "[read-only]" in run.banner)

        assert not run.screen.has_class("-stale")


async def test_of_several_cells_one_lost_is_counted_and_is_an_alert():
    async with driven(cells=3) as run:
        run.feeds[1].lose("gone")
        await run.until(lambda: "1 lost" in run.banner)

        assert [each.cell for each in run.app.picture.alerts] == ["c2"]
        assert not run.screen.has_class("-stale")


# --- modes, prompt, palette ---


async def test_f_keys_switch_modes_and_escape_comes_back_to_the_overview():
    async with driven() as run:
        await run.press("f2")
        await run.until(lambda: run.app.current_mode == "sales")
        await run.press("escape")
        await run.until(lambda: run.app.current_mode == "overview")


async def test_a_command_goes_where_it_says_with_what_it_names():
    async with driven() as run:
        sale = run.sale("open")
        await run.command(f"sale {sale.id}")
        await run.until(lambda: run.app.current_mode == "sales" and run.screen.aimed == sale.id)

        assert isinstance(run.screen, OtherScreen)


async def test_a_wrong_command_is_explained_where_it_was_typed_and_can_be_mended():
    async with driven() as run:
        await run.command("slaes")
        prompt = run.screen.query_one(Prompt)

        assert "Did you mean :sales" in run.text("#wrong")
        assert prompt.is_open
        await run.press("escape")
        assert not prompt.is_open


async def test_what_is_typed_in_one_burst_is_typed_and_not_taken_for_keys():
    async with driven() as run:
        for key in (":", *"filter Rr/R"):
            run.app.post_message(events.Key({":": "colon", "/": "slash", " ": "space"}.get(key, key), key))
        await run.until(lambda: run.input().value == "filter Rr/R")
        assert run.app.rate == RATES[0]
        assert run.app.model.replay is None


async def test_the_focus_comes_back_when_the_prompt_closes():
    async with driven() as run:
        before = run.app.focused
        await run.press("slash", "a", "enter")
        assert run.app.focused is before


async def test_tab_completes_what_is_typed():
    async with driven() as run:
        await run.press("colon")
        await run.type("heal")
        await run.until(lambda: run.input()._suggestion == "health")
        await run.press("tab", "enter")
        await run.until(lambda: run.app.current_mode == "health")


async def test_a_filter_narrows_while_it_is_typed_and_escape_takes_it_back():
    async with driven() as run:
        await run.press("slash")
        await run.type("vinyl")
        await run.until(lambda: str(run.screen.pattern) == "vinyl")
        await run.press("enter")
        assert [row[1] for row in run.screen.table().rows] == ["Vinyl, first pressing"]

        await run.press("slash")
        await run.type("x")
        await run.press("escape")
        await run.until(lambda: str(run.screen.pattern) == "vinyl")
        await run.press("escape")
        assert not run.screen.pattern


async def test_a_filter_that_is_no_pattern_is_explained():
    async with driven() as run:
        await run.command("filter (")
        assert "no regular expression" in run.text("#wrong")


async def test_the_palette_finds_a_sale_with_a_hostile_title_and_goes_there():
    async with driven() as run:
        await run.press("ctrl+p")
        await run.until(lambda: len(run.app.screen_stack) > 1)
        await run.type("sale FREE")
        options = run.app.screen.query_one(CommandList)
        await run.until(lambda: options.option_count == 1)
        assert "[@click=app.quit]" in str(options.get_option_at_index(0).prompt)
        await run.press("enter")
        await run.until(lambda: run.app.current_mode == "sales" and run.screen.aimed.startswith("sal_"))


async def test_selecting_a_cell_makes_it_the_one_that_is_shown():
    async with driven(cells=3) as run:
        await run.command("cell c3")
        await run.until(lambda: run.app.picture.selected == "c3")
        assert run.frame.cell == "c3"


# --- refresh ---


async def test_a_frozen_picture_stands_until_it_goes_on():
    async with driven() as run:
        await run.press("P")
        at, shown = run.app.picture.at, run.screen.shown
        run.clock.advance(5000)
        run.feed.beat()
        await run.until(lambda: run.app.model.picture(0).cells[0].frame != run.frame)
        assert "FROZEN" in run.banner
        assert (run.app.picture.at, run.screen.shown) == (at, shown)

        await run.press("P")
        await run.until(lambda: run.app.picture.at > at and "FROZEN" not in run.banner)


async def test_the_refresh_rate_goes_round():
    async with driven() as run:
        rates = []
        for _ in range(4):
            await run.press("r")
            rates.append(run.app.rate)
        assert rates == [0.5, 1.0, 5.0, 0.25]


async def test_only_the_visible_screen_is_drawn():
    async with driven() as run:
        first = run.screen
        await run.press("f2")
        await run.until(lambda: run.app.current_mode == "sales" and run.screen.shown > 2)
        before, other = first.shown, run.screen.shown
        await run.until(lambda: run.screen.shown > other + 2)
        assert first.shown == before


# --- files ---


async def test_the_visible_table_is_exported_and_nothing_is_written_over(tmp_path):
    async with driven(exports=tmp_path) as run:
        await run.press("E")
        await run.press("E")
        await run.until(lambda: len(list(tmp_path.iterdir())) == 2)
        path = min(tmp_path.iterdir())
        with path.open(newline="") as file:
            rows = list(csv.reader(file))

        assert rows[0] == ["id", "title", "stock"]
        assert len(rows) == 1 + len(run.app.picture.sales)
        assert any(str(path) in notice for notice in run.notices)
        assert all(character.isprintable() for row in rows for cell in row for character in cell)


async def test_a_filtered_table_is_exported_as_json_to_where_it_was_said(tmp_path):
    async with driven() as run:
        run.app.command("filter vinyl")
        run.app.command(f"export json {tmp_path / 'vinyl.json'}")
        assert [row["title"] for row in json.loads((tmp_path / "vinyl.json").read_text())] == [
            "Vinyl, first pressing"
        ]


async def test_a_screen_without_a_table_says_so(tmp_path):
    async with driven(exports=tmp_path) as run:
        await run.press("f2")
        await run.until(lambda: run.app.current_mode == "sales")
        await run.press("E")
        assert run.notices == ["There is no table on this screen."]
        assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    async with driven(exports=tmp_path / "nowhere") as run:
        await run.press("E")
        assert run.notices[0].startswith("The file cannot be written")


async def test_a_screenshot_is_an_svg(tmp_path):
    async with driven(exports=tmp_path) as run:
        await run.press("ctrl+e")
        (path,) = tmp_path.iterdir()
        assert path.suffix == ".svg"
        assert "TITAN" in path.read_text(encoding="utf-8")


# --- looks ---


def is_grey(run: Driven) -> bool:
    """Tell whether nothing on the screen has a colour."""
    colours = [
        colour.get_truecolor()
        for strip in run.app.screen._compositor.render_strips()
        for segment in strip
        if segment.style is not None
        for colour in (segment.style.color, segment.style.bgcolor)
        if colour is not None
    ]
    assert colours
    return all(len({each.red, each.green, each.blue}) == 1 for each in colours)


async def test_mono_leaves_no_colour():
    async with driven(mono=True) as run:
        assert is_grey(run)


async def test_no_color_leaves_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with driven() as run:
        assert is_grey(run)


async def test_colours_can_be_taken_away_and_come_back():
    async with driven() as run:
        assert not is_grey(run)
        run.app.command("mono")
        await run.until(lambda: is_grey(run))
        run.app.command("mono")
        await run.until(lambda: not is_grey(run))


async def test_a_theme_is_chosen_by_name_and_a_wrong_one_is_explained():
    async with driven() as run:
        run.app.command("theme titan-light")
        assert run.app.theme == "titan-light"
        run.app.command("theme pink")
        await run.until(lambda: any("with one of" in notice for notice in run.notices))


async def test_quit_leaves():
    async with driven() as run:
        await run.press("q")
        await run.until(lambda: not run.app.is_running)


async def test_a_click_on_a_mode_goes_there():
    async with driven() as run:
        await run.pilot.click("#crumbs", offset=(run.text("#crumbs").index("health") + 1, 0))
        await run.until(lambda: run.app.current_mode == "health")


@pytest.mark.parametrize("width", (80, 120))
async def test_the_breadcrumbs_fit_and_leave_out_the_modes_where_there_is_no_room(width):
    async with driven(size=(width, 24)) as run:
        run.app.command("filter vinyl")
        crumbs = run.text("#crumbs")
        assert len(crumbs) <= width
        assert "c1 ▸ Plain" in crumbs
        assert "vinyl" in crumbs
        assert ("F7 cell" in crumbs) == (width == 120)
