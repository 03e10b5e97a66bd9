"""The screen of the log, driven by keys: following, narrowing, walking, going back, replaying from here."""

from functools import partial

import pytest

from tests.unit.admin_tui.watching import watched


def positions(run):
    return [line.position for line in run.table("#rows").rows.values()]


def _older_than(run, oldest: int) -> bool:
    return bool(positions(run)[-1] < oldest)


def head(run):
    return run.text("#log-head")


async def test_the_log_is_followed_while_the_cursor_is_on_the_newest_line():
    async with watched() as run:
        await run.show("log")
        before = positions(run)[0]
        assert "following" in head(run)
        await run.beat()
        await run.until(lambda: positions(run)[0] > before)
        assert run.table("#rows").key == run.table("#rows").keys[0]
        assert positions(run) == sorted(positions(run), reverse=True)


async def test_a_cursor_further_down_stands_until_the_newest_is_wanted():
    async with watched() as run:
        await run.show("log")
        await run.press("down", "down")
        there = run.table("#rows").key
        assert "stands" in head(run)
        await run.beats(2)
        await run.quiet()
        assert run.table("#rows").key == there
        await run.press("n")
        await run.until(lambda: positions(run)[0] == len(run.feed.log.events) and "following" in head(run))


async def test_one_aggregate_is_shown_alone_and_left_again():
    async with watched() as run:
        await run.show("log")
        await run.press("down", "w")
        await run.until(
            lambda: len({(line.kind, line.key) for line in run.table("#rows").rows.values()}) == 1
        )
        assert "log.*." in head(run)
        await run.press("w")
        await run.until(lambda: len({line.key for line in run.table("#rows").rows.values()}) > 1)


async def test_one_type_is_shown_alone_and_escape_leaves_it():
    async with watched() as run:
        await run.show("log")
        type_ = run.table("#rows").current.type
        await run.press("t")
        await run.until(lambda: {line.type for line in run.table("#rows").rows.values()} == {type_})
        assert type_ in head(run)
        await run.press("escape")
        await run.until(lambda: len({line.type for line in run.table("#rows").rows.values()}) > 1)
        assert run.app.current_mode == "log"


async def test_brackets_walk_an_aggregate_from_event_to_event():
    async with watched(size=(140, 40)) as run:
        await run.show("log")
        start = run.table("#rows").current
        mine = [
            event.position
            for event in run.feed.log.events
            if event.sale == start.key and event.type not in {"said", "moderated"}
        ]
        if start.kind == "room":
            mine = [
                event.position
                for event in run.feed.log.events
                if event.sale == start.key and event.type == "said"
            ]
        before = mine[mine.index(start.position) - 1]
        await run.press("left_square_bracket")
        await run.until(lambda: run.table("#rows").current.position == before)
        await run.press("right_square_bracket")
        await run.until(lambda: run.table("#rows").current.position == start.position)


async def test_the_end_of_an_aggregate_is_said():
    async with watched() as run:
        await run.show("log")
        await run.command("event 1")
        await run.until(lambda: run.table("#rows").current.position == 1)
        await run.press("left_square_bracket")
        await run.until(lambda: bool(run.notices))

        assert "no further event" in run.notices[0]


async def test_going_further_back_reaches_the_first_commit():
    async with watched() as run:
        await run.show("log")
        total = len(run.feed.log.events)
        while positions(run)[-1] > 1:
            oldest = positions(run)[-1]
            await run.press("b")
            await run.until(partial(_older_than, run, oldest))

        assert positions(run) == list(range(total, 0, -1))
        assert "further back" not in str(run.app.visible_screen.query_one("#list").border_subtitle)


async def test_a_commit_is_shown_as_json():
    async with watched(size=(140, 50)) as run:
        await run.show("log")
        line = run.table("#rows").current
        await run.until(lambda: f'"type": "{line.type}"' in run.text("#commit"))
        assert f"commit {line.position:,}" in run.seen
        await run.press("down")
        other = run.table("#rows").current
        await run.until(lambda: f"commit {other.position:,}" in run.seen)


async def test_in_a_narrow_terminal_enter_opens_the_commit_and_escape_leaves_it():
    async with watched(size=(80, 24)) as run:
        await run.show("log")
        await run.press("down", "enter")
        line = run.table("#rows").current
        await run.until(lambda: f'"type": "{line.type}"' in run.text("#commit"))
        assert run.app.visible_screen.trail == (f"{line.position:,}",)
        await run.press("escape")
        assert run.app.visible_screen.trail == ()
        assert run.app.focused is run.table("#rows")


async def test_a_position_can_be_named():
    async with watched() as run:
        await run.show("sales")
        await run.command("event 57")
        await run.until(lambda: run.app.current_mode == "log" and run.screen_is_up)
        await run.until(lambda: run.table("#rows").current is not None)
        await run.until(lambda: run.table("#rows").current.position == 57)
        await run.until(lambda: "commit 57" in run.seen)


@pytest.mark.parametrize("typed", ("room.>", "log.*.room.>"))
async def test_a_subject_can_be_typed(typed):
    async with watched() as run:
        await run.command(f"log {typed}")
        await run.until(lambda: run.app.current_mode == "log" and run.screen_is_up)
        await run.until(lambda: bool(positions(run)))
        await run.until(lambda: {line.kind for line in run.table("#rows").rows.values()} == {"room"})


async def test_a_filter_narrows_what_was_read():
    async with watched() as run:
        await run.show("log")
        await run.command("filter got one")
        await run.until(lambda: {line.text for line in run.table("#rows").rows.values()} == {"got one!"})


async def test_a_replay_begins_at_the_line_under_the_cursor():
    async with watched() as run:
        await run.show("log")
        await run.press("down", "down", "down", "R")
        position = run.table("#rows").current.position
        await run.until(
            lambda: run.app.picture.replay is not None and run.app.picture.replay.position == position
        )
        await run.until(lambda: positions(run)[0] == position)

        assert f"up to {position:,}" in head(run)


async def test_a_question_that_is_refused_says_why():
    async with watched() as run:
        await run.show("log")
        run.feed.lose("connection refused")
        await run.press("t")
        await run.until(lambda: "connection refused" in head(run))


async def test_another_cell_has_another_log():
    async with watched(cells=2) as run:
        await run.show("log")
        keys = {line.key for line in run.table("#rows").rows.values()}
        run.app.select_cell("c2")
        await run.until(lambda: not keys & {line.key for line in run.table("#rows").rows.values()})


async def test_the_export_is_what_is_listed():
    async with watched() as run:
        await run.show("log")
        table = run.app.visible_screen.table()

        assert [row[0] for row in table.rows] == positions(run)
