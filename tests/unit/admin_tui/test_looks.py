"""Every screen as it looks, at two sizes. After a change that is meant: pytest --snapshot-update, and look at them."""

import pytest

from tests.unit.admin_tui.watching import KEYS, SIZES, watched


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("mode", KEYS)
async def test_a_screen_looks_as_it_did(snap, mode, size):
    async with watched(size=size) as run:
        await run.beats(3)
        await run.show(mode)
        snap(run)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("mode", ("sales", "orders", "chat", "log"))
async def test_what_is_open_looks_as_it_did(snap, mode, size):
    async with watched(size=size) as run:
        await run.beats(3)
        await run.show(mode)
        await run.press("down", "enter")
        await run.quiet()
        snap(run)


@pytest.mark.parametrize("size", (*SIZES, (200, 60)), ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("cells", (12, 104))
async def test_many_cells_look_as_they_did(snap, cells, size):
    async with watched(cells=cells, size=size) as run:
        await run.beats(3)
        run.feeds[3].lose("connection refused")
        run.feeds[5].processes.kill("api")
        await run.beats(2)
        await run.until(lambda: any(cell.lost_since for cell in run.app.picture.cells))
        await run.show("overview")
        snap(run)


async def test_without_colours_it_looks_as_it_did(snap):
    async with watched(cells=12, mono=True) as run:
        await run.beats(3)
        run.feeds[3].lose("connection refused")
        await run.beats(1)
        await run.until(lambda: any(cell.lost_since for cell in run.app.picture.cells))
        await run.show("overview")
        snap(run)


async def test_the_past_looks_as_it_did(snap):
    async with watched(size=(120, 40)) as run:
        await run.beats(3)
        await run.show("sales")
        run.app.replay_at(position=40)
        await run.until(lambda: run.app.model.replay is not None and run.app.model.replay.position == 40)
        await run.quiet()
        snap(run)


async def test_the_question_before_a_ban_looks_as_it_did(snap):
    async with watched(size=(120, 40)) as run:
        await run.beats(3)
        await run.show("chat")
        await run.press("enter", "b")
        await run.quiet()
        snap(run)
