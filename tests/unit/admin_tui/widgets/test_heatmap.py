"""The heat map as a widget: what it draws again, and what keys and mouse do."""

from contextlib import asynccontextmanager

import pytest
from textual.app import App

from admin_tui.widgets.heat import DOWN, OVER, Tile
from admin_tui.widgets.heatmap import HeatMap


class Map(App):
    """A heat map and a record of what it says."""

    def __init__(self):
        super().__init__()
        self.said = []

    def compose(self):
        yield HeatMap(id="map")

    def on_heat_map_moved(self, event):
        self.said.append(("moved", event.cell))

    def on_heat_map_chosen(self, event):
        self.said.append(("chosen", event.cell))


def tiles(count, level=lambda index: index % 9):
    return [Tile(f"c{index:03}", level(index), f"{index} ms") for index in range(count)]


@asynccontextmanager
async def shown(count, size=(80, 24), level=lambda index: index % 9):
    app = Map()
    async with app.run_test(size=size) as pilot:
        heat = app.query_one(HeatMap)
        heat.show(tiles(count, level))
        heat.focus()
        await pilot.pause()
        yield app, heat, pilot


def text(heat):
    return [heat.render_line(y).text for y in range(heat.size.height)]


async def test_500_cells_are_all_there_with_their_signs():
    async with shown(500, level=lambda index: {137: OVER, 301: DOWN}.get(index, 1)) as (_, heat, _pilot):
        drawn = "".join(text(heat)[1:])

        assert drawn.count("▁") == 498
        assert drawn.count("!") == drawn.count("x") == 1


async def test_few_cells_say_name_and_value():
    async with shown(3) as (_, heat, _pilot):
        assert "c001" in "".join(text(heat))
        assert "2 ms" in "".join(text(heat))


async def test_only_rows_in_which_a_level_changed_are_drawn_again(monkeypatch):
    async with shown(500) as (_, heat, pilot):
        refreshed = []
        monkeypatch.setattr(heat, "refresh", lambda *regions, **_: refreshed.extend(regions))
        heat.show(tiles(500))
        assert refreshed == []

        heat.show(tiles(500, lambda index: OVER if index == 123 else index % 9))
        assert [region.y for region in refreshed] == [1 + 123 // heat._grid.columns]
        await pilot.pause()


async def test_arrows_stay_on_the_map_and_enter_opens_a_cell():
    async with shown(500) as (app, heat, pilot):
        columns = heat._grid.columns
        await pilot.press("right", "right", "down")
        assert heat.current.id == f"c{columns + 2:03}"
        await pilot.press("left", "left", "left", "up", "up")
        assert heat.current.id == "c000"
        await pilot.press("ctrl+end", "right", "down")
        assert heat.current.id == "c499"
        await pilot.press("home", "enter")
        await pilot.pause()
        assert app.said[-1] == ("chosen", f"c{500 - columns:03}")
        assert ("moved", "c499") in app.said


@pytest.mark.parametrize("count", (12, 60, 500))
async def test_a_click_moves_and_a_click_on_the_cursor_opens(count):
    async with shown(count) as (app, heat, pilot):
        where = heat._grid
        at = (where.label + where.cell, where.header)
        await pilot.click("#map", offset=at)
        assert heat.cursor == 1
        await pilot.click("#map", offset=at)
        await pilot.pause()
        assert app.said[-1] == ("chosen", "c001")


async def test_a_click_beside_the_cells_does_nothing():
    async with shown(11) as (app, heat, pilot):
        await pilot.click("#map", offset=(79, 23))

        assert (heat.cursor, app.said) == (0, [])


async def test_the_cursor_is_seen_where_not_all_rows_are():
    async with shown(500, size=(40, 8)) as (_, heat, pilot):
        await pilot.press("ctrl+end")
        await pilot.pause()
        last = 500 - 500 % heat._grid.columns if 500 % heat._grid.columns else 500 - heat._grid.columns

        assert any(line.startswith(str(last)) for line in text(heat))


async def test_another_number_of_cells_is_laid_out_anew():
    async with shown(500) as (_, heat, pilot):
        await pilot.press("ctrl+end")
        heat.show(tiles(20))
        await pilot.pause()

        assert heat.cursor == 19
        assert "c019" in "".join(text(heat))


async def test_a_cell_can_be_selected_by_name():
    async with shown(60) as (_, heat, _pilot):
        heat.select("c042")
        heat.select("of another cluster")

        assert heat.current.id == "c042"


async def test_levels_are_brighter_one_by_one():
    async with shown(60) as (_, heat, _pilot):
        looks = heat._look_up().levels
        brightness = [sum(look.bgcolor.triplet) for look in looks[:9]]

        assert brightness == sorted(brightness)
        assert len(set(brightness)) == 9


async def test_without_colours_the_signs_stand_alone():
    async with shown(60) as (_, heat, pilot):
        coloured = text(heat)
        heat.mono = True
        await pilot.pause()
        looks = heat._look_up().levels

        assert text(heat) == coloured
        assert len({look.bgcolor for look in looks}) == 1


async def test_no_cells_are_no_error():
    async with shown(0) as (app, heat, pilot):
        await pilot.press("right", "down", "enter", "ctrl+end")
        await pilot.click("#map", offset=(3, 3))

        assert heat.current is None
        assert app.said == []
