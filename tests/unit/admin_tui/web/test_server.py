"""The served dashboard gives nothing to anybody without an operator's key."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import ClientResponse, WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request, WebSocketResponse

from admin_tui.web.dashboards import bounded
from admin_tui.web.server import COOKIE, MAX_DASHBOARDS, Serving, Site
from admin_tui.web.sessions import LIFE_MS
from admin_tui.wire import WhoAmI
from cells.kernel.clock import ManualClock

Client = TestClient[Request, Application]
KEYS = {
    "tk_viewer": WhoAmI("vera", "viewer", "c1"),
    "tk_operator": WhoAmI("ana", "operator", "c1"),
}
ROUTES = ("/ws", "/download/abc", "/focus.js", "/static/js/textual.js", "/static/", "/nothing")


class FakeDashboard:
    """A dashboard that says back what is typed."""

    def __init__(self, socket: WebSocketResponse, key: str) -> None:
        self.socket = socket
        self.key = key
        self.size = (0, 0)
        self.stopped = asyncio.Event()

    async def start(self, width: int, height: int) -> None:
        self.size = (width, height)
        await self.socket.send_bytes(f"hello {self.key} {width}x{height}".encode())

    async def stop(self) -> None:
        self.stopped.set()

    async def send_bytes(self, data: bytes) -> bool:
        await self.socket.send_bytes(data)
        return True

    async def set_terminal_size(self, width: int, height: int) -> None:
        self.size = (width, height)

    async def focus(self) -> None:
        await self.socket.send_bytes(b"focus")

    async def blur(self) -> None:
        await self.socket.send_bytes(b"blur")


class Run:
    """A site with a client, and the cell that knows keys."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.keys = dict(KEYS)
        self.is_away = False
        self.dashboards: list[FakeDashboard] = []

    async def who(self, key: str) -> WhoAmI | None:
        if self.is_away:
            raise httpx.ConnectError("refused")
        return self.keys.get(key)

    def start(self, socket: WebSocketResponse, key: str) -> FakeDashboard:
        self.dashboards.append(FakeDashboard(socket, key))
        return self.dashboards[-1]

    @contextlib.asynccontextmanager
    async def site(self) -> AsyncIterator[Client]:
        site = Site(Serving(("true",), "http://127.0.0.1:1", 1), self.who, clock=self.clock, start=self.start)
        async with TestClient(TestServer(site.app())) as client:
            self.client = client
            self.origin = f"http://127.0.0.1:{client.port}"
            yield client

    async def login(self, key: str, **headers: str) -> ClientResponse:
        given = {"origin": self.origin} | headers
        return await self.client.post("/login", data={"key": key}, headers=given, allow_redirects=False)

    def cookie(self) -> object:
        return {cookie.key: cookie for cookie in self.client.session.cookie_jar}.get(COOKIE)

    def socket(self, **headers: str) -> Any:
        return self.client.ws_connect("/ws?width=120&height=40", headers={"origin": self.origin} | headers)


@pytest.mark.parametrize("path", ROUTES)
async def test_without_a_login_there_is_nothing_but_the_login(path):
    run = Run()
    async with run.site() as client:
        response = await client.get(path, headers={"origin": run.origin})
        assert response.status == 401
        index = await client.get("/")
        text = await index.text()
        assert "Operator's key" in text
        assert "/ws" not in text


@pytest.mark.parametrize("key", ("", "garbage", "tk_", "tk_unknown", "tk_ключ", "tk_operator\x00", "[" * 190))
async def test_what_is_no_key_opens_nothing(key):
    run = Run()
    async with run.site() as client:
        response = await run.login(key)
        assert response.status == 401
        assert "no key of an operator" in await response.text()
        assert run.cookie() is None
        assert (await client.get("/static/js/textual.js")).status == 401


@pytest.mark.parametrize("key", ("tk_viewer", "tk_operator", "  tk_operator\n"))
async def test_a_key_opens_a_dashboard_that_runs_with_it(key):
    run = Run()
    async with run.site() as client:
        response = await run.login(key)
        assert (response.status, response.headers["location"]) == (303, "/")
        set_cookie = response.headers["set-cookie"]
        assert "HttpOnly" in set_cookie
        assert "SameSite=Strict" in set_cookie
        assert "tk_" not in set_cookie

        page = await (await client.get("/")).text()
        assert f"ws://127.0.0.1:{client.port}/ws" in page
        assert (await client.get("/static/js/textual.js")).status == 200
        async with run.socket() as socket:
            assert await socket.receive_bytes() == f"hello {key.strip()} 120x40".encode()
            await socket.send_json(["stdin", "q"])
            assert await socket.receive_bytes() == b"q"
            await socket.send_json(["ping", "7"])
            assert await socket.receive_json() == ["pong", "7"]
            await socket.send_json(["resize", {"width": 10_000, "height": 0}])
            await socket.send_json(["focus"])
            assert await socket.receive_bytes() == b"focus"
            assert run.dashboards[0].size == (500, 1)
        async with asyncio.timeout(5):
            await run.dashboards[0].stopped.wait()


@pytest.mark.parametrize("said", ("not json", '["stdin", 5]', "5", '["resize", {"width": "x"}]'))
async def test_what_our_page_does_not_say_harms_nothing(said):
    run = Run()
    async with run.site():
        await run.login("tk_viewer")
        async with run.socket() as socket:
            await socket.receive_bytes()
            await socket.send_str(said)
            await socket.send_json(["ping", 1])
            async with asyncio.timeout(5):
                await socket.receive()
        async with asyncio.timeout(5):
            await run.dashboards[0].stopped.wait()


@pytest.mark.parametrize(
    "origin", (None, "http://evil.example", "https://127.0.0.1", "null", "http://127.0.0.1:1")
)
async def test_another_page_cannot_use_the_session(origin):
    run = Run()
    async with run.site() as client:
        await run.login("tk_operator")
        headers = {} if origin is None else {"origin": origin}
        with pytest.raises(WSServerHandshakeError) as raised:
            await client.ws_connect("/ws", headers=headers)
        assert raised.value.status == 403
        response = await client.post("/login", data={"key": "tk_operator"}, headers=headers)
        assert response.status == 403
        assert (await client.post("/logout", headers=headers)).status == 403
        assert run.dashboards == []


@pytest.mark.parametrize("host", ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::", ""))
async def test_a_name_that_does_not_mean_this_machine_is_refused(host):
    run = Run()
    async with run.site() as client:
        response = await client.get("/", headers={"host": host, "origin": f"http://{host}"})
        assert response.status in {400, 403}


async def test_a_key_that_was_revoked_meanwhile_opens_no_dashboard():
    run = Run()
    async with run.site() as client:
        await run.login("tk_operator")
        del run.keys["tk_operator"]
        with pytest.raises(WSServerHandshakeError) as raised:
            await run.socket()
        assert raised.value.status == 401
        assert "Operator's key" in await (await client.get("/")).text()


async def test_a_session_ends_by_itself_and_by_logging_out():
    run = Run()
    async with run.site() as client:
        await run.login("tk_viewer")
        run.clock.advance(LIFE_MS + 1)
        assert (await client.get("/static/js/textual.js")).status == 401

        await run.login("tk_viewer")
        assert (await client.get("/static/js/textual.js")).status == 200
        await client.post("/logout", headers={"origin": run.origin})
        assert (await client.get("/static/js/textual.js")).status == 401


async def test_a_cookie_that_was_made_up_is_nobodys():
    run = Run()
    async with run.site() as client:
        await run.login("tk_operator")
        client.session.cookie_jar.clear()
        for made_up in ("", "x", "a" * 43):
            response = await client.get("/static/js/textual.js", headers={"cookie": f"{COOKIE}={made_up}"})
            assert response.status == 401


async def test_guessing_is_slowed_down_for_everybody():
    run = Run()
    async with run.site():
        for _ in range(5):
            assert (await run.login("tk_guess")).status == 401
        assert (await run.login("tk_operator")).status == 429
        run.clock.advance(60_001)
        assert (await run.login("tk_operator")).status == 303


async def test_a_cell_that_is_away_is_told_and_counts_as_no_guess():
    run = Run()
    async with run.site():
        run.is_away = True
        for _ in range(9):
            response = await run.login("tk_operator")
            assert response.status == 503
            assert "titan status" in await response.text()
        run.is_away = False
        assert (await run.login("tk_operator")).status == 303


async def test_there_are_at_most_so_many_dashboards():
    run = Run()
    async with run.site(), contextlib.AsyncExitStack() as stack:
        await run.login("tk_viewer")
        for _ in range(MAX_DASHBOARDS):
            socket = await stack.enter_async_context(run.socket())
            await socket.receive_bytes()
        with pytest.raises(WSServerHandshakeError) as raised:
            await run.socket()
        assert raised.value.status == 503


async def test_every_answer_forbids_what_the_pages_do_not_need():
    run = Run()
    async with run.site() as client:
        await run.login("tk_viewer")
        for path in ("/", "/nothing", "/static/js/textual.js", "/download/none"):
            response = await client.get(path)
            policy = response.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_page_loads_nothing_from_elsewhere():
    run = Run()
    async with run.site() as client:
        login = await (await client.get("/")).text()
        await run.login("tk_viewer")
        terminal = await (await client.get("/")).text()
        assert "https://" not in login + terminal
        assert "<script>" not in login + terminal


def test_a_terminal_has_a_size_that_terminals_have():
    assert [bounded(cells) for cells in (-1, 0, 80, 100_000)] == [1, 1, 80, 500]
