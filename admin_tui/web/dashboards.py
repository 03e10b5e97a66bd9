"""The dashboards that run for browsers: a process each, with the operator's key in its environment."""

import asyncio
import contextlib
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from admin_tui.targets import KEY_VARIABLE

STOP_SECONDS: Final = 5.0
MAX_SIZE: Final = 500
MAX_MESSAGE: Final = 64 * 1024


class Running(Protocol):
    """A dashboard that runs for one browser."""

    async def start(self, width: int, height: int) -> None: ...

    async def stop(self) -> None: ...

    async def send_bytes(self, data: bytes) -> bool: ...

    async def set_terminal_size(self, width: int, height: int) -> None: ...

    async def focus(self) -> None: ...

    async def blur(self) -> None: ...


Start = Callable[[web.WebSocketResponse, str], Running]


class KeyedService(AppService):
    """A dashboard in a process of its own."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        key: str,
        socket: web.WebSocketResponse,
        downloads: DownloadManager,
    ) -> None:
        super().__init__(
            shlex.join(command),
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=_closing(socket),
            download_manager=downloads,
        )
        self._extra = {**environment, KEY_VARIABLE: key}

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        return {**super()._build_environment(width, height), **self._extra}

    async def stop(self) -> None:
        """Ask it to end, and end it where it does not."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await super().stop()
        except TimeoutError:
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()


def _closing(socket: web.WebSocketResponse) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        await socket.close()

    return close


async def run(socket: web.WebSocketResponse, running: Running, width: int, height: int) -> None:
    """Pass on what the browser says until it leaves; the dashboard ends with it."""
    await running.start(bounded(width), bounded(height))
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await _pass_on(socket, running, message.json())
    except (ValueError, TypeError, KeyError, IndexError):
        await socket.close(code=1008)  # not what our own page says
    finally:
        await running.stop()


async def _pass_on(socket: web.WebSocketResponse, running: Running, said: list[object]) -> None:
    match said:
        case ["stdin", str(typed)]:
            await running.send_bytes(typed.encode())
        case ["resize", {"width": int(width), "height": int(height)}]:
            await running.set_terminal_size(bounded(width), bounded(height))
        case ["ping", token]:
            await socket.send_json(["pong", token])
        case ["focus", *_]:
            await running.focus()
        case ["blur", *_]:
            await running.blur()
        case _:
            pass  # something newer than this


def bounded(cells: int) -> int:
    """Return a width or height that a terminal may have."""
    return max(1, min(MAX_SIZE, cells))
