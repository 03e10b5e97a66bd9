"""Tables by key: after any news the rows are the wanted ones, and the cursor is where it was."""

from contextlib import asynccontextmanager

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.app import App
from textual.content import Content

from admin_tui.widgets.columns import Column, widths
from admin_tui.widgets.keyed_table import MAX_ROWS, KeyedTable

COLUMNS = (Column("key", "key", 8), Column("value", "value"), Column("more", "more", 20, rank=1))


class Tabled(App):
    """A table and a record of what it says."""

    def __init__(self, **how):
        super().__init__()
        self.said = []
        self.drawn = []
        self.how = how

    def compose(self):
        yield KeyedTable(COLUMNS, self.draw, empty="nothing here", id="table", **self.how)

    def draw(self, row):
        self.drawn.append(row)
        return (f"{row[0]}", Content.styled(f"[b]{row[1]}[/b]", "$primary"), "x")

    def on_keyed_table_moved(self, event):
        self.said.append(("moved", event.key))

    def on_keyed_table_chosen(self, event):
        self.said.append(("chosen", event.key))

    def on_keyed_table_head_clicked(self, event):
        self.said.append(("head", event.column))


@asynccontextmanager
async def shown(rows, size=(60, 12), **how):
    app = Tabled(**how)
    async with app.run_test(size=size) as pilot:
        table = app.query_one(KeyedTable)
        table.show(rows)
        table.focus()
        await pilot.pause()
        yield app, table, pilot


def rows(*keys, value=0):
    return {str(key): (str(key), value) for key in keys}


def text(table):
    return [table.render_line(y).text for y in range(table.size.height)]


def line_of_cursor(table):
    return table._at[table.key] - table.scroll_offset.y


KEYS = st.lists(st.integers(min_value=0, max_value=40), unique=True, max_size=30)
NEWS = st.lists(st.tuples(KEYS, st.integers(0, 2), st.integers(-40, 40)), min_size=1, max_size=8)


@given(NEWS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_after_any_news_the_rows_are_the_wanted_ones_and_the_cursor_is_on_its_key(news):
    async with shown({}) as (_, table, pilot):
        for keys, value, by in news:
            before, was = table.key, list(table.keys)
            wanted = rows(*keys, value=value)
            table.show(wanted)
            await pilot.pause()

            assert list(table.keys) == list(wanted)
            assert dict(table.rows) == wanted
            if before in wanted:
                assert table.key == before
            elif wanted:
                place = was.index(before) if before else 0
                assert table.key == list(wanted)[min(place, len(wanted) - 1)]
            else:
                assert table.key == ""
            top = table.scroll_offset.y
            seen = [line.split()[0] for line in text(table)[1:] if line.strip() and wanted]
            assert seen == list(wanted)[top : top + table.size.height - 1]
            table.action_cursor(by)
            await pilot.pause()


async def test_what_comes_above_does_not_move_what_is_looked_at():
    async with shown(rows(*range(50))) as (_, table, pilot):
        await pilot.press(*["down"] * 20)
        line = line_of_cursor(table)
        table.show(rows(*range(-7, 50)))
        await pilot.pause()

        assert table.key == "20"
        assert line_of_cursor(table) == line


async def test_a_cursor_on_the_newest_row_of_a_log_stays_on_the_newest():
    async with shown(rows(3, 2, 1), follows=True) as (_, table, pilot):
        table.show(rows(5, 4, 3, 2, 1))
        assert table.key == "5"
        await pilot.press("down")
        table.show(rows(6, 5, 4, 3, 2, 1))
        assert table.key == "4"


async def test_only_what_changed_and_is_on_the_screen_becomes_text():
    async with shown(rows(*range(500))) as (app, table, pilot):
        await pilot.pause()
        app.drawn.clear()
        wanted = rows(*range(500))
        wanted["3"], wanted["400"] = ("3", "new"), ("400", "new")
        table.show(wanted)
        await pilot.pause()

        assert set(app.drawn) == {("3", "new")}


async def test_the_same_rows_draw_nothing(monkeypatch):
    async with shown(rows(1, 2, 3)) as (_, table, _pilot):
        refreshed = []
        monkeypatch.setattr(table, "refresh", lambda *regions, **_: refreshed.append(regions))
        table.show(rows(1, 2, 3))

        assert refreshed == []


async def test_keys_move_and_enter_opens():
    async with shown(rows(*range(100))) as (app, table, pilot):
        for keys, at in (
            (("down", "j"), "2"),
            (("up", "k", "up"), "0"),
            (("pagedown",), "10"),
            (("end",), "99"),
            (("home",), "0"),
        ):
            await pilot.press(*keys)
            assert table.key == at
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.said[-1] == ("chosen", "1")


async def test_the_mouse_moves_opens_and_orders():
    async with shown(rows(*range(5))) as (app, table, pilot):
        await pilot.click("#table", offset=(3, 3))
        assert table.key == "2"
        await pilot.click("#table", offset=(3, 3))
        await pilot.pause()
        assert app.said[-1] == ("chosen", "2")
        await pilot.click("#table", offset=(12, 0))
        await pilot.pause()
        assert app.said[-1] == ("head", "value")
        await pilot.hover("#table", offset=(3, 4))
        assert table._hover == 3
        await pilot.click("#table", offset=(3, 11))
        assert table.key == "2"


async def test_more_rows_than_there_may_be_are_left_out():
    async with shown(rows(*range(MAX_ROWS + 50))) as (_, table, _pilot):
        assert len(table.keys) == MAX_ROWS


async def test_an_empty_table_says_why():
    async with shown({}) as (app, table, pilot):
        await pilot.press("down", "enter", "pageup")
        assert "nothing here" in text(table)[2]
        assert table.current is None
        assert app.said == []


async def test_markup_in_cells_is_text():
    async with shown(rows(1, value="[red]no[/]")) as (_, table, _pilot):
        assert "[b][red]no[/][/b]" in text(table)[1]


async def test_the_order_is_marked_at_its_column():
    async with shown(rows(1)) as (_, table, _pilot):
        table.mark_sorted("value", descending=True)
        assert "value↓" in text(table)[0]


async def test_hidden_columns_leave_their_room_to_others():
    async with shown(rows(1)) as (_, table, pilot):
        table.hide("more")
        await pilot.pause()
        assert "more" not in text(table)[0]
        table.hide()
        assert "more" in text(table)[0]


@given(st.integers(min_value=0, max_value=200))
def test_columns_that_are_shown_fit(room):
    shown_widths = widths(COLUMNS, room)

    assert shown_widths
    assert len(shown_widths) == 1 or sum(shown_widths.values()) + 2 * (len(shown_widths) - 1) <= room
    assert all(width >= 1 for width in shown_widths.values())
