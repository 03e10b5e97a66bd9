"""The state in five lines and once as JSON."""

import msgspec
import pytest
from rich.cells import cell_len
from textual.widgets import Static

from admin_tui.inline import InlineApp
from admin_tui.once import as_document, look
from admin_tui.simulated import SimulatedFeed
from admin_tui.status_lines import LINES, spark, status_lines
from cells.kernel.clock import ManualClock


def cells(n: int = 2) -> tuple[ManualClock, list[SimulatedFeed]]:
    clock = ManualClock()
    return clock, [SimulatedFeed(clock, cell=f"c{number}", number=number) for number in range(1, n + 1)]


@pytest.mark.parametrize("width", (20, 80, 200))
async def test_five_lines_of_at_most_the_width(width):
    clock, feeds = cells()
    feeds[0].processes.kill("api", "\x1b[31mgone")
    lines = status_lines(await look(feeds, clock), width)

    assert len(lines) == LINES
    assert all(cell_len(line) <= width and line.isprintable() for line in lines)


async def test_they_say_what_counts():
    clock, feeds = cells(1)
    text = "\n".join(status_lines(await look(feeds, clock), 200))
    assert "TITAN c1" in text
    assert "LIVE" in text
    assert "oversold 0" in text
    assert "no alerts" in text


async def test_a_cell_that_is_not_heard_is_said_first():
    clock, feeds = cells(2)
    feeds[1].lose("connection refused")
    picture = await look(feeds, clock)

    assert "1 NOT HEARD connection refused" in status_lines(picture, 200)[0]


async def test_the_document_has_sums_and_frames():
    clock, feeds = cells(2)
    feeds[1].lose("connection refused")
    read = msgspec.json.decode(msgspec.json.encode(as_document(await look(feeds, clock))))

    assert [(each["id"], each["state"]) for each in read["cells"]] == [("c1", "ok"), ("c2", "down")]
    assert read["totals"]["sales"] == read["cells"][0]["frame"]["totals"]["sales"] == 8
    assert read["cells"][1]["frame"] is None


def test_a_bar_for_each_point():
    assert spark([]) == ""
    assert spark([0, 0]) == "▁▁"
    assert spark([0, 5, 10]) == "▁▅█"


async def test_under_the_prompt_it_follows_the_cells_and_q_leaves():
    clock, feeds = cells(1)
    app = InlineApp(feeds, clock=clock)
    async with app.run_test(size=(100, 5)) as pilot:
        status = app.query_one("#status", Static)
        for _ in range(500):
            if "LIVE" in str(status.content):
                break
            await pilot.pause(0.02)
        assert "3 open" in str(status.content)
        await pilot.press("q")
    assert not app.is_running
