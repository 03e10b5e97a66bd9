"""The dashboard in a browser, on this machine only: nothing is served to anybody without an operator's key."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import httpx
import msgspec
import textual_serve
from aiohttp import web
from textual_serve.download_manager import DownloadManager

from admin_tui.addresses import is_loopback
from admin_tui.web import guard, pages
from admin_tui.web.dashboards import MAX_MESSAGE, KeyedService, Running, Start, run
from admin_tui.web.sessions import LIFE_MS, Attempts, Session, Sessions
from admin_tui.wire import WhoAmI
from cells.kernel.clock import Clock, SystemClock

COOKIE: Final = "titan_top"
OPEN_PATHS: Final = frozenset({"/login", "/"})
# Full policy: one more is told to come back later (503).
MAX_DASHBOARDS: Final = 8
WHO_SECONDS: Final = 5.0
MAX_BODY: Final = 4096
STATIC: Final = Path(textual_serve.__file__).parent / "static"

Who = Callable[[str], Awaitable[WhoAmI | None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Serving(msgspec.Struct, frozen=True):
    """What is served: the command of the dashboard, the cell that knows the keys, and a port of this machine."""

    command: tuple[str, ...]
    api: str
    port: int
    environment: dict[str, str] = {}


def asking(api: str) -> Who:
    """Return what asks a cell whose key it is; None for nobody's. Raises httpx.HTTPError."""

    async def who(key: str) -> WhoAmI | None:
        trusted = not is_loopback(httpx.URL(api).host)
        async with httpx.AsyncClient(timeout=WHO_SECONDS, trust_env=trusted) as client:
            headers = {"authorization": f"Bearer {key}"}
            asked = await client.get(f"{api}/api/v1/ops/whoami", headers=headers)
        if asked.status_code in {401, 403}:
            return None
        asked.raise_for_status()
        return msgspec.json.decode(asked.content, type=WhoAmI)

    return who


class Site:
    """The pages, the login and the sockets."""

    def __init__(
        self, serving: Serving, who: Who, *, clock: Clock | None = None, start: Start | None = None
    ) -> None:
        self._serving = serving
        self._who = who
        self._clock = clock or SystemClock()
        self._start = start or self._service
        self._sessions = Sessions()
        self._attempts = Attempts()
        self._downloads = DownloadManager()
        self._running = 0

    def app(self) -> web.Application:
        """Return the application."""
        made = web.Application(middlewares=[self._guarded], client_max_size=MAX_BODY)
        made.add_routes(
            [
                web.get("/", self.index),
                web.post("/login", self.login),
                web.post("/logout", self.logout),
                web.get("/ws", self.socket),
                web.get("/download/{key}", self.download),
                web.get("/focus.js", self.focus),
                web.static("/static", STATIC),
            ]
        )
        return made

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        is_socket = request.headers.get("upgrade", "").lower() == "websocket" or request.path == "/ws"
        why = guard.refusal(request.method, request.host, request.headers.get("origin"), is_socket=is_socket)
        if why:
            return web.Response(status=403, text=why, headers=pages.HEADERS)
        if request.path not in OPEN_PATHS and self._session(request) is None:
            return web.Response(status=401, text="Log in first.", headers=pages.HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(pages.HEADERS)
            raise
        if not response.prepared:
            response.headers.update(pages.HEADERS)
        return response

    def _session(self, request: web.Request) -> Session | None:
        cookie = request.cookies.get(COOKIE)
        return self._sessions.find(cookie, self._clock.now()) if cookie else None

    # --- pages ---

    async def index(self, request: web.Request) -> web.Response:
        """Show the terminal to who is logged in, the login to everybody else."""
        if self._session(request) is None:
            return web.Response(text=pages.login(), content_type="text/html")
        font_size = request.query.get("fontsize", "")
        size = max(6, min(40, int(font_size))) if font_size.isascii() and font_size.isdigit() else 16
        return web.Response(text=pages.terminal(size, f"ws://{request.host}/ws"), content_type="text/html")

    async def login(self, request: web.Request) -> web.Response:
        """Take a key; it is the cell that says whose it is."""
        now = self._clock.now()
        if not self._attempts.may(now):
            return self._no(429, "Too many tries. Wait a minute.")
        key = str((await request.post()).get("key", "")).strip()
        try:
            who = await self._who(key) if key.startswith("tk_") and key.isascii() else None
        except (httpx.HTTPError, msgspec.MsgspecError):
            return self._no(503, "The cell does not answer, so the key cannot be checked. See: titan status")
        if who is None:
            self._attempts.failed(now)
            return self._no(401, "That is no key of an operator, or it was revoked.")
        cookie = secrets.token_urlsafe(32)
        self._sessions.begin(cookie, Session(key, who.name, who.role, now + LIFE_MS))
        response = web.Response(status=303, headers={"location": "/"})
        response.set_cookie(
            COOKIE, cookie, httponly=True, samesite="Strict", path="/", max_age=LIFE_MS // 1000
        )
        return response

    async def logout(self, request: web.Request) -> web.Response:
        """Forget the session."""
        self._sessions.end(request.cookies.get(COOKIE, ""))
        response = web.Response(status=303, headers={"location": "/"})
        response.del_cookie(COOKIE, path="/")
        return response

    def _no(self, status: int, why: str) -> web.Response:
        return web.Response(status=status, text=pages.login(why), content_type="text/html")

    async def focus(self, _request: web.Request) -> web.Response:
        """Hand out the script of the terminal's page."""
        return web.Response(text=pages.FOCUS, content_type="text/javascript")

    # --- the terminal ---

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """Run a dashboard for as long as the browser stays. The key is checked again first: it may be revoked."""
        session = self._session(request)
        try:
            who = await self._who(session.key) if session is not None else None
        except (httpx.HTTPError, msgspec.MsgspecError):
            return web.Response(status=503, text="The cell does not answer.")
        if session is None or who is None:
            self._sessions.end(request.cookies.get(COOKIE, ""))
            return web.Response(status=401, text="Log in again: the key is not valid any more.")
        if self._running >= MAX_DASHBOARDS:
            return web.Response(status=503, text=f"{MAX_DASHBOARDS} dashboards run already.")
        self._running += 1
        try:
            socket = web.WebSocketResponse(heartbeat=15, max_msg_size=MAX_MESSAGE)
            await socket.prepare(request)
            size = [_number(request.query.get(name, "")) for name in ("width", "height")]
            await run(socket, self._start(socket, session.key), size[0] or 80, size[1] or 24)
        finally:
            self._running -= 1
        return socket

    def _service(self, socket: web.WebSocketResponse, key: str) -> Running:
        return KeyedService(self._serving.command, self._serving.environment, key, socket, self._downloads)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Hand out a file that a dashboard delivers, once."""
        key = request.match_info["key"]
        try:
            meta = await self._downloads.get_download_metadata(key)
        except KeyError:
            raise web.HTTPNotFound(text="There is no such file any more.") from None
        name = "".join(
            each for each in meta.file_name if each.isascii() and (each.isalnum() or each in "-_.")
        )
        response = web.StreamResponse(
            headers={
                **pages.HEADERS,
                "content-type": meta.mime_type,
                "content-disposition": f'attachment; filename="{name or "titan.txt"}"',
            }
        )
        await response.prepare(request)
        async for chunk in self._downloads.download(key):
            await response.write(chunk)
        await response.write_eof()
        return response


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
