"""The feed over HTTP, against a small server of its own: what is lost, regained, refused, unreadable."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from admin_tui.answers import Effect, Orders
from admin_tui.feed import Heard, Lost, Refused, Regained, Reply, Unreachable
from admin_tui.http_feed import REVOKED, HttpFeed
from admin_tui.wire import Frame, WhoAmI

T = TypeVar("T")
KEY = "tk_good"
DEADLINE_SECONDS = 10.0


class Cell:
    """A cell that answers as it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.up = True
        self.realtime = ""
        self.frames = 0
        self.asked: list[web.Request] = []
        self.bodies: list[object] = []

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._door])
        app.add_routes(
            [
                web.get("/api/v1/ops/whoami", self._whoami),
                web.get("/api/v1/ops/cells", self._cells),
                web.get("/api/v1/ops/frame", self._frame),
                web.get("/api/v1/ops/orders", self._garbage),
                web.post("/api/v1/ops/sales/{sale}/{what}", self._act),
            ]
        )
        return app

    @web.middleware
    async def _door(self, request, handler):
        self.asked.append(request)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return web.json_response({"status": 401, "code": "unauthenticated", "detail": "Who?"}, status=401)
        if not self.up:
            return web.Response(status=502, text="<html>a proxy</html>")
        return await handler(request)

    async def _whoami(self, _):
        return web.json_response({"name": "ana", "role": "viewer", "cell": "c1", "more": 1})

    async def _cells(self, _):
        return web.json_response({"items": [{"id": "c1", "realtime": self.realtime}]})

    async def _frame(self, request):
        self.frames += 1
        return web.json_response(
            {"cell": "c1", "at": int(request.query.get("at", self.frames)), "new_field": []}
        )

    async def _garbage(self, _):
        return web.Response(text="not json")

    async def _act(self, request):
        self.bodies.append(await request.json())
        if request.match_info["what"] == "kill":
            detail = {
                "status": 409,
                "code": "conflict",
                "title": "Conflict",
                "detail": "The sale is at revision 9.",
            }
            return web.json_response(detail, status=409, content_type="application/problem+json")
        return web.json_response({"state": "paused", "revision": 4, "position": 77})


@contextlib.asynccontextmanager
async def running(key: str = KEY) -> AsyncIterator[tuple[Cell, HttpFeed]]:
    cell = Cell()
    async with TestServer(cell.app()) as server:
        feed = HttpFeed(str(server.make_url("")), key, chance=lambda: 0.01)
        try:
            yield cell, feed
        finally:
            await feed.close()


async def heard(frames: AsyncIterator[Heard], kind: type[T]) -> T:
    """The next thing of a kind that is heard."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        async for found in frames:
            if isinstance(found, kind):
                return found
    raise AssertionError("the feed has ended")


async def test_an_answer_is_read_whatever_else_is_in_it():
    async with running() as (cell, feed):
        assert await feed.get("/ops/whoami", {}, WhoAmI) == WhoAmI("ana", "viewer", "c1")
        frame = await feed.get("/ops/frame", {"at": 5, "position": None}, Frame)
        assert (frame.at, frame.sales) == (5, [])
        assert dict(cell.asked[-1].query) == {"at": "5"}


async def test_a_refused_question_has_the_servers_words():
    async with running("tk_bad") as (_, feed):
        with pytest.raises(Refused) as raised:
            await feed.get("/ops/whoami", {}, WhoAmI)
        assert raised.value.problem.code == "unauthenticated"
        assert str(raised.value) == "Who?"


async def test_what_cannot_be_read_is_no_answer():
    async with running() as (cell, feed):
        with pytest.raises(Unreachable, match="cannot be read"):
            await feed.get("/ops/orders", {}, Orders)
        cell.up = False
        with pytest.raises(Refused) as raised:
            await feed.get("/ops/frame", {}, Frame)
        assert raised.value.problem.status == 502


async def test_a_cell_that_is_away_is_unreachable():
    feed = HttpFeed("http://127.0.0.1:9", KEY)
    with pytest.raises(Unreachable):
        await feed.get("/ops/frame", {}, Frame)
    with pytest.raises(Unreachable):
        await feed.post("/ops/sales/x/pause", {}, "k")
    await feed.close()
    with pytest.raises(Unreachable, match="closing"):
        await feed.get("/ops/frame", {}, Frame)


async def test_an_action_carries_its_key_and_its_answer_says_where_it_is_seen():
    async with running() as (cell, feed):
        reply = await feed.post("/ops/sales/sal_1/pause", {"reason": "", "expected_revision": 3}, "k-1")
        assert (reply.status, reply.effect.revision, reply.effect.position) == (200, 4, 77)
        assert cell.asked[-1].headers["idempotency-key"] == "k-1"
        assert cell.bodies == [{"reason": "", "expected_revision": 3}]

        refused = await feed.post("/ops/sales/sal_1/kill", {"reason": "r"}, "k-2")
        assert refused.problem is not None
        assert refused.problem.detail == "The sale is at revision 9."


async def test_without_a_websocket_frames_are_asked_for():
    async with running() as (cell, feed):
        cell.realtime = "ws://127.0.0.1:9/rt"
        frames = feed.frames()
        first = await heard(frames, Frame)
        second = await heard(frames, Frame)
        assert second.at > first.at
        await frames.aclose()


async def test_a_loss_is_told_once_and_so_is_the_return():
    async with running() as (cell, feed):
        frames = feed.frames()
        await heard(frames, Frame)
        cell.up = False
        lost = await heard(frames, Lost)
        assert not lost.final
        cell.up = True
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert isinstance(await anext(frames), Regained)
            assert isinstance(await anext(frames), Frame)
        await frames.aclose()


async def test_a_key_that_is_no_good_ends_the_feed_and_says_so():
    async with running("tk_revoked") as (_, feed):
        assert [each async for each in feed.frames()] == [Lost(REVOKED, final=True)]


async def test_closing_ends_the_frames():
    async with running() as (_, feed):
        frames = feed.frames()
        await heard(frames, Frame)
        await feed.close()
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert [each async for each in frames if isinstance(each, Frame)] == []


def test_a_reply_that_says_nothing_has_no_effect_to_look_for():
    assert Reply(204).effect == Effect()
    assert msgspec.json.decode(b"{}", type=Effect) == Effect()
