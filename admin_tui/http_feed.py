"""A cell over HTTP and WebSocket: frames by the channel `ops:cell`, or asked for once a second where that cannot be had."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final, TypeVar

import httpx
import msgspec
from websockets.exceptions import InvalidHandshake, InvalidURI

from admin_tui.addresses import is_loopback
from admin_tui.answers import Cells, Problem
from admin_tui.feed import Heard, Lost, Params, Refused, Regained, Reply, Unreachable
from admin_tui.wire import Frame, WhoAmI
from realtime.client import CommandRefused, Disconnected, RealtimeClient, Update, backoff
from realtime.codes import CloseCode

T = TypeVar("T")
CHANNEL: Final = "ops:cell"
ANSWER_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 4.0
LOOK_SECONDS: Final = 0.5
POLL_SECONDS: Final = 1.0
# Somebody is looking: a cell that is back is to be seen soon.
RETRY_SECONDS: Final = 3.0
# How long frames are asked for over HTTP before the WebSocket is tried again.
POLLS: Final = 10
REVOKED: Final = "the key is not valid, or not any more"


class HttpFeed:
    """One cell at a URL, with an operator's key. `cell` is a name for it; the frames tell their own.

    `via` says how the newest frame came: by `websocket` or by `http`.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        cell: str = "",
        realtime: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`realtime`: the WebSocket's URL; without one the cell is asked for it."""
        self.url = url.rstrip("/")
        host = httpx.URL(self.url)
        self.cell = cell or host.netloc.decode("ascii", "replace")
        self._key = key
        self._realtime = realtime
        self._found = ""
        self.via = ""
        self._chance = chance
        self._closing = asyncio.Event()
        self._client = httpx.AsyncClient(
            base_url=f"{self.url}/api/v1",
            headers={"authorization": f"Bearer {key}", "accept": "application/json"},
            timeout=ANSWER_SECONDS,
            trust_env=not is_loopback(host.host),
            transport=transport,
        )

    # --- questions and actions ---

    async def get(self, path: str, params: Params, type_: type[T]) -> T:
        """Answer a question. Raises Refused or Unreachable."""
        given = {name: value for name, value in params.items() if value is not None}
        response = await self._request("GET", path, params=given)
        if response.is_error:
            raise Refused(_problem(response))
        try:
            return msgspec.json.decode(response.content, type=type_)
        except msgspec.MsgspecError as error:
            raise Unreachable(f"The answer to {path} cannot be read: {error}") from error

    async def post(self, path: str, body: Any, key: str) -> Reply:
        """Ask for an action. Raises Unreachable."""
        content = msgspec.json.encode(body)
        headers = {"idempotency-key": key, "content-type": "application/json"}
        return _reply(await self._request("POST", path, content=content, headers=headers))

    async def delete(self, path: str, key: str) -> Reply:
        """Ask for something to be ended. Raises Unreachable."""
        return _reply(await self._request("DELETE", path, headers={"idempotency-key": key}))

    async def _request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        if self._closing.is_set():
            raise Unreachable("the dashboard is closing")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._client.request(method, path, **kwargs)
        except TimeoutError as error:
            raise Unreachable(f"no answer within {ANSWER_SECONDS:.0f} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Let go of connections; `frames` ends."""
        self._closing.set()
        await self._client.aclose()

    # --- frames ---

    async def frames(self) -> AsyncGenerator[Heard, None]:
        """Yield what is heard until it is closed, or until the key is not valid any more."""
        lost = False
        attempt = 0
        while not self._closing.is_set():
            async for heard in self._round():
                if isinstance(heard, Lost):
                    if not lost or heard.final:
                        yield heard
                    lost = True
                    if heard.final:
                        return
                else:
                    if lost:
                        yield Regained()
                    lost, attempt = False, 0
                    yield heard
            await self._pause(min(RETRY_SECONDS, backoff(attempt, self._chance())))
            attempt += 1

    async def _round(self) -> AsyncIterator[Frame | Lost]:
        """Listen for as long as it goes: over the WebSocket, else by asking for a while."""
        try:
            url = await self._find_realtime()
        except (Refused, Unreachable) as error:
            yield _lost(error)
            return
        if url:
            try:
                async with RealtimeClient(url, token=self._token, chance=self._chance) as client:
                    await client.sub(CHANNEL)
                    async for heard in self._listen(client):
                        self.via = "websocket"
                        yield heard
            except (CommandRefused, Disconnected, TimeoutError, OSError, InvalidHandshake, InvalidURI):
                pass  # whether it is the key or only the way, asking over HTTP tells
            else:
                return
        async for heard in self._poll():
            yield heard

    async def _token(self) -> str:
        return self._key

    async def _find_realtime(self) -> str:
        if self._realtime:
            return self._realtime
        try:
            who = await self.get("/ops/whoami", {}, WhoAmI)
            known = await self.get("/ops/cells", {}, Cells)
        except Unreachable:
            # The hub is a process of its own: frames may come although the api is away.
            if self._found:
                return self._found
            raise
        self._found = next((each.realtime for each in known.items if each.id == who.cell), "")
        return self._found

    async def _listen(self, client: RealtimeClient) -> AsyncIterator[Frame | Lost]:
        """Yield frames until the connection is gone, or the channel; a silence on it is told."""
        updates = client.updates()
        coming: asyncio.Task[Update] | None = None
        silent = 0.0
        try:
            while not self._closing.is_set():
                coming = coming or asyncio.create_task(_next(updates))
                await asyncio.wait({coming}, timeout=LOOK_SECONDS)
                if coming.done():
                    update, coming, silent = coming.result(), None, 0.0
                    if update.t == "unsub":
                        return
                    yield msgspec.json.decode(update.body, type=Frame)
                    continue
                silent += LOOK_SECONDS
                if client.closes:
                    return  # where the api still answers, frames are had from it sooner than the client is back
                if silent >= SILENT_SECONDS:
                    yield Lost(f"no frame for {SILENT_SECONDS:.0f} s")
        except Disconnected as ended:
            if ended.code in _KEY_CODES:
                yield Lost(REVOKED, final=True)
        except msgspec.MsgspecError as unreadable:
            yield Lost(f"frames cannot be read: {unreadable}")
        finally:
            if coming is not None:
                coming.cancel()
                with contextlib.suppress(asyncio.CancelledError, Disconnected):
                    await coming

    async def _poll(self) -> AsyncIterator[Frame | Lost]:
        for _ in range(POLLS):
            if self._closing.is_set():
                return
            try:
                frame = await self.get("/ops/frame", {}, Frame)
            except (Refused, Unreachable) as error:
                yield _lost(error)
                return
            self.via = "http"
            yield frame
            await self._pause(POLL_SECONDS)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()


_KEY_CODES: Final = frozenset({CloseCode.UNAUTHENTICATED, CloseCode.FORBIDDEN, CloseCode.SESSION_REVOKED})


async def _next(updates: AsyncIterator[Update]) -> Update:
    return await anext(updates)


def _lost(error: Refused | Unreachable) -> Lost:
    if isinstance(error, Refused) and error.problem.status in {401, 403}:
        return Lost(REVOKED, final=True)
    return Lost(str(error))


def _reply(response: httpx.Response) -> Reply:
    problem = _problem(response) if response.is_error else None
    return Reply(response.status_code, response.content, problem)


def _problem(response: httpx.Response) -> Problem:
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError:
        status = response.status_code
        return Problem(status, f"http_{status}", response.reason_phrase, f"{status} {response.reason_phrase}")
