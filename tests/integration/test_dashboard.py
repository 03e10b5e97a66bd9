"""The dashboard on a real cell: its feed, its keys, its actions from the key to the effect, and time travel."""

import asyncio
import functools
import json
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from admin_tui.actions import Life
from admin_tui.answers import (
    Cells,
    Checks,
    Commit,
    Holds,
    Lines,
    Messages,
    Operators,
    Orders,
    Processes,
    Rooms,
    SaleDetail,
    Sales,
)
from admin_tui.app import TopApp
from admin_tui.chrome.banner import Banner
from admin_tui.feed import Heard, Lost, Unreachable
from admin_tui.http_feed import REVOKED, HttpFeed
from admin_tui.wire import Frame, SaleRow, WhoAmI
from tests.integration.shop import Shop, opened

DEADLINE_SECONDS = 20.0


@pytest.fixture(scope="module")
def shop(cell) -> Iterator[Shop]:
    with opened(cell) as shop:
        yield shop


@pytest.fixture
async def feeds(cell, shop) -> AsyncIterator[Callable[[str], HttpFeed]]:
    """Make feeds of the cell with the key of somebody."""
    made: list[HttpFeed] = []

    def feed(who: str) -> HttpFeed:
        made.append(HttpFeed(cell.api, shop.tokens[who], cell="c1", chance=lambda: 0.1))
        return made[-1]

    yield feed
    await asyncio.gather(*(each.close() for each in made))


async def until(frames: AsyncIterator[Heard], holds: Callable[[Heard], bool]) -> Heard:
    """The first thing heard of which something holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        async for heard in frames:
            if holds(heard):
                return heard
    raise AssertionError("the feed has ended")


class TestFeed:
    async def test_frames_come_and_show_what_is_done(self, shop, feeds):
        feed = feeds("operator")
        frames = feed.frames()
        sale = shop.new_sale("open")
        await until(frames, lambda heard: isinstance(heard, Frame) and any(s.id == sale for s in heard.sales))

        reply = await feed.post(
            f"/ops/sales/{sale}/pause", {"reason": "look", "expected_revision": 2}, os.urandom(8).hex()
        )
        assert reply.problem is None
        effect = reply.effect
        assert (effect.state, effect.revision) == ("paused", 3)

        def is_there(heard):
            return isinstance(heard, Frame) and any(
                each.id == sale and each.revision >= effect.revision and each.state == "paused"
                for each in heard.sales
            )

        shown = await until(frames, is_there)
        assert feed.via == "websocket"
        assert isinstance(shown, Frame)
        assert shown.position >= effect.position
        await frames.aclose()

    async def test_frames_go_on_over_http_where_there_is_no_hub(self, cell, shop):
        nowhere = "ws://127.0.0.1:9/rt"
        feed = HttpFeed(cell.api, shop.tokens["viewer"], realtime=nowhere, chance=lambda: 0.1)
        frames = feed.frames()
        await until(frames, lambda heard: isinstance(heard, Frame))
        await until(frames, lambda heard: isinstance(heard, Frame))
        assert feed.via == "http"
        await frames.aclose()
        await feed.close()

    async def test_every_question_of_a_screen_is_answered_in_words_it_reads(self, shop, feeds):
        feed = feeds("admin")
        for path, type_ in (
            ("/ops/whoami", WhoAmI),
            ("/ops/cells", Cells),
            ("/ops/frame", Frame),
            ("/ops/processes", Processes),
            ("/ops/sales", Sales),
            (f"/ops/sales/{shop.sale}", SaleDetail),
            ("/ops/orders", Orders),
            ("/ops/holds", Holds),
            ("/ops/rooms", Rooms),
            (f"/ops/rooms/{shop.sale}/messages", Messages),
            ("/ops/log", Lines),
            ("/ops/log/1", Commit),
            ("/ops/health", Checks),
            ("/ops/operators", Operators),
        ):
            await feed.get(path, {}, type_)
        frame = await feed.get("/ops/frame", {}, Frame)
        assert {each.name for each in frame.series} >= {"holds", "orders", "requests", "sockets"}
        assert all(len(each.history) == 60 for each in frame.series)
        assert {each.name for each in frame.processes} >= {"api", "writer", "hub", "projector", "nats"}
        assert frame.log.state == "sound"

    async def test_the_past_is_shown_as_it_was(self, shop, feeds):
        feed = feeds("viewer")
        before = await feed.get("/ops/frame", {}, Frame)
        sale = shop.new_sale("open")

        async def past(**params: int) -> Frame:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while True:
                    found: Frame = await feed.get("/ops/frame", params, Frame)
                    if found.target is not None and found.position >= found.target:
                        return found

        shown = await past(position=before.position)
        assert shown.mode == "replay"
        assert shown.totals.sales == before.totals.sales
        assert sale not in {each.id for each in shown.sales}
        assert (await past(at=before.at)).totals.sales == before.totals.sales

    async def test_a_key_that_is_revoked_ends_the_feed(self, cell, shop, feeds):
        feed = feeds("doomed")
        frames = feed.frames()
        await until(frames, lambda heard: isinstance(heard, Frame))
        assert cell.titan("operator", "revoke", shop.doomed_operator).returncode == 0
        lost = await until(frames, lambda heard: isinstance(heard, Lost))
        assert lost == Lost(REVOKED, final=True)

    async def test_a_wrong_address_is_lost_and_not_an_error(self):
        feed = HttpFeed("http://127.0.0.1:9", "tk_x", chance=lambda: 0.1)
        frames = feed.frames()
        heard = await until(frames, lambda _: True)
        assert isinstance(heard, Lost)
        assert not heard.final
        await frames.aclose()
        await feed.close()
        with pytest.raises(Unreachable):
            await feed.get("/ops/frame", {}, Frame)


class TestCommand:
    def test_the_local_key_is_made_once_and_is_the_owners_alone(self, cell):
        path = cell.data / "cells" / "c1" / "secrets" / "top-viewer.key"
        first = cell.titan("top", "--once")
        assert first.returncode == 0, first.stderr
        assert "TITAN c1" in first.stdout
        assert "LIVE" in first.stdout
        key = path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

        again = cell.titan("top", "--once", "--json")
        assert again.returncode == 0
        assert json.loads(again.stdout)["cells"][0]["frame"]["cell"] == "c1"
        assert path.read_text() == key
        assert key not in first.stdout + first.stderr + again.stdout + again.stderr

    def test_a_revoked_local_key_is_made_anew(self, cell):
        path = cell.data / "cells" / "c1" / "secrets" / "top-operator.key"
        assert cell.titan("top", "--once", "--operate").returncode == 0
        before = path.read_text()
        assert cell.titan("operator", "revoke", "top-operator").returncode == 0
        # A key is believed for up to 5 s; one that was lost is replaced at once.
        path.unlink()
        assert cell.titan("top", "--once", "--operate").returncode == 0
        assert path.read_text() != before

    def test_without_a_terminal_it_says_what_can_be_done(self, cell):
        refused = cell.titan("top")
        assert refused.returncode == 1
        assert "titan top --once" in refused.stderr

    def test_options_that_exclude_each_other_are_explained(self, cell):
        refused = cell.titan("top", "--inline", "--once")
        assert refused.returncode == 2
        assert "do not go together" in refused.stderr


class Driven:
    """The dashboard over the real cell."""

    def __init__(self, app: TopApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not holds():
                await self.pilot.pause(0.05)

    def has(self, id_: str) -> bool:
        return any(each.sale.id == id_ for each in self.app.picture.sales)

    def sale(self, id_: str) -> SaleRow:
        return next(each.sale for each in self.app.picture.sales if each.sale.id == id_)

    def is_in(self, id_: str, state: str) -> bool:
        return self.sale(id_).state == state

    def fill(self, selector: str, text: str) -> None:
        self.app.screen.query_one(selector, Input).value = text

    @property
    def banner(self) -> str:
        assert self.app.visible_screen is not None
        return str(self.app.visible_screen.query_one(Banner).content)

    @property
    def newest(self) -> Life:
        return self.app.model.picture(0).actions[0]


def is_settled(app: TopApp) -> bool:
    return app.picture.replay is not None and app.picture.replay.settled


class TestDashboard:
    async def test_open_pause_throttle_kill_and_look_back(self, shop, feeds):
        id_ = shop.new_sale("armed")
        app = TopApp([feeds("operator")], operate=True)
        async with app.run_test(size=(140, 40)) as pilot:
            run = Driven(app, pilot)
            await run.until(lambda: run.has(id_) and "[OPERATE]" in run.banner)
            before = app.picture.cells[0].frame
            assert before is not None

            for what, state in (("open", "open"), ("pause", "paused"), ("resume", "open")):
                app.steer("c1", run.sale(id_), what)
                await run.until(lambda: run.newest.stage == "effective")
                await run.until(functools.partial(run.is_in, id_, state))

            app.steer("c1", run.sale(id_), "throttle")
            await run.until(lambda: len(app.screen.query("#per_second")) == 1)
            run.fill("#per_second", "7")
            await pilot.press("enter", "enter")
            await run.until(lambda: run.sale(id_).throttle == 7)

            app.steer("c1", run.sale(id_), "kill")
            await run.until(lambda: len(app.screen.query("#id")) == 1)
            run.fill("#id", id_)
            run.fill("#reason", "wrong price")
            app.screen.query_one("#reason").focus()
            await pilot.press("enter")
            await run.until(lambda: run.sale(id_).state == "killed")
            assert run.sale(id_).reason == "wrong price"
            detail = await app.ask(f"/ops/sales/{id_}", {}, SaleDetail)
            assert [move.what for move in detail.moves][:5] == ["kill", "throttle", "resume", "pause", "open"]

            app.command(f"at {before.position}")
            await run.until(lambda: "REPLAY" in run.banner and is_settled(app))
            assert run.sale(id_).state == "armed"
            detail = await app.ask(f"/ops/sales/{id_}", {}, SaleDetail)
            assert detail.sale.state == "armed"
            app.steer("c1", run.sale(id_), "open")
            await run.until(lambda: any("replay" in str(n.message) for n in app._notifications))
            app.command("live")
            await run.until(lambda: "LIVE" in run.banner and run.sale(id_).state == "killed")

    async def test_two_operators_do_not_overrule_each_other_unseen(self, shop, feeds):
        id_ = shop.new_sale("open")
        app = TopApp([feeds("operator")], operate=True)
        async with app.run_test(size=(120, 30)) as pilot:
            run = Driven(app, pilot)
            await run.until(lambda: run.has(id_) and "[OPERATE]" in run.banner)
            seen = run.sale(id_)
            shop.make("merchant", f"/sales/{id_}/pause", {})
            app.steer("c1", seen, "end")
            await run.until(lambda: len(app.screen.query("#reason")) == 1)
            run.fill("#reason", "over")
            await pilot.press("enter")
            await run.until(lambda: run.newest.stage == "refused")
            assert run.newest.code == "conflict"

    async def test_a_viewer_with_operate_is_told_that_the_key_may_not(self, shop, feeds):
        id_ = shop.new_sale("open")
        app = TopApp([feeds("viewer")], operate=True)
        async with app.run_test(size=(120, 30)) as pilot:
            run = Driven(app, pilot)
            await run.until(lambda: run.has(id_) and "[read-only]" in run.banner)
            app.steer("c1", run.sale(id_), "pause")
            await run.until(lambda: any("role viewer" in str(n.message) for n in app._notifications))
            assert run.app.model.picture(0).actions == ()
            reply = await app.feeds["c1"].post(f"/ops/sales/{id_}/pause", {"reason": ""}, os.urandom(8).hex())
            assert reply.status == 403
