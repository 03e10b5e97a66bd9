"""The screen of one cell, driven by keys."""

from tests.unit.admin_tui.watching import watched


async def test_processes_latencies_log_and_events_are_those_of_the_cell():
    async with watched(cells=2, size=(160, 50)) as run:
        await run.beats(1)
        await run.show("cell")
        frame = run.app.picture.focus.frame

        assert list(run.table("#process-rows").keys) == [each.name for each in frame.processes]
        assert list(run.table("#latency-rows").keys) == ["hold", "http", "gate", "append"]
        assert f"{frame.position:,}" in run.text("#log-facts")
        assert "ok" in run.text("#headline")
        assert len(run.table("#line-rows").keys) == len(frame.lines)


async def test_brackets_go_round_the_cells():
    async with watched(cells=3) as run:
        await run.show("cell")
        seen = []
        for _ in range(3):
            await run.press("right_square_bracket")
            seen.append(run.app.picture.selected)
        await run.press("left_square_bracket")

        assert seen == ["c2", "c3", "c1"]
        assert run.app.picture.selected == "c3"
        assert "c3" in run.text("#headline")


async def test_a_killed_process_is_marked_and_its_return_is_seen():
    async with watched(size=(160, 50)) as run:
        await run.show("cell")
        run.feed.processes.kill("api", "ended with signal 9")
        await run.beat()
        await run.until(lambda: run.table("#process-rows").rows["api"].state == "starting")
        assert "degraded" in run.text("#headline")
        assert "ended with signal 9" in run.seen
        run.feed.processes.restart("api")
        await run.beat()
        await run.until(lambda: run.table("#process-rows").rows["api"].state == "running")
        assert run.table("#process-rows").rows["api"].restarts == 1


async def test_a_lost_cell_says_since_when_and_keeps_its_last_picture():
    async with watched() as run:
        await run.show("cell")
        run.feed.lose("connection refused")
        await run.until(lambda: not run.app.picture.focus.connected)
        run.clock.advance(7000)
        await run.until(lambda: "7s" in run.text("#headline"))

        assert "connection refused" in run.text("#headline")
        assert list(run.table("#process-rows").keys)


async def test_an_event_opens_in_the_log():
    async with watched() as run:
        await run.show("cell")
        table = run.table("#line-rows")
        table.focus()
        position = table.current.position
        await run.press("enter")
        await run.until(lambda: run.app.current_mode == "log" and run.screen_is_up)
        await run.until(lambda: bool(run.app.visible_screen.rows.keys))
        await run.until(lambda: run.app.visible_screen.rows.current.position == position)


async def test_the_log_is_one_key_away_and_a_cell_can_be_named():
    async with watched(cells=2) as run:
        await run.show("cell")
        run.app.visible_screen.aim("c2")
        assert run.app.picture.selected == "c2"
        run.app.visible_screen.aim("Held")
        await run.until(lambda: {line.type for line in run.table("#line-rows").rows.values()} <= {"Held"})
        await run.press("l")
        await run.until(lambda: run.app.current_mode == "log")


async def test_in_the_past_there_is_no_telemetry_and_that_is_said():
    async with watched(size=(160, 50)) as run:
        await run.show("cell")
        run.app.replay_at(position=30)
        await run.until(lambda: run.app.picture.replay is not None and run.app.picture.replay.position == 30)
        await run.quiet()

        assert list(run.table("#process-rows").keys) == []
        assert "telemetry" in run.seen


async def test_the_export_has_the_processes():
    async with watched() as run:
        await run.show("cell")

        assert "observer" in {row[0] for row in run.app.visible_screen.table().rows}
