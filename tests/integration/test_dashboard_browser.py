"""`titan top --web` in a real browser: the login, the terminal that takes keys at once, and the way out."""

import asyncio
import contextlib
import os
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from playwright.async_api import Page, WebSocket, async_playwright

from fixtures.cell import free_port
from tests.integration.shop import Shop, opened

DEADLINE_SECONDS = 30.0
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Nothing of the browser's own goes out: there is no network but this machine's.
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

if CHROMIUM is None and not os.environ.get("CI"):
    pytest.skip("no Chromium here: apt-get install chromium", allow_module_level=True)


@pytest.fixture(scope="module")
def shop(cell) -> Iterator[Shop]:
    with opened(cell) as shop:
        yield shop


@pytest.fixture
async def site(cell) -> AsyncIterator[str]:
    url = f"http://127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cells.cli", "top", "--web", "--port", url.rpartition(":")[2]),
        *("--data", str(cell.data)),
        stdout=PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert url.encode() in await process.stdout.readline()
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


class Browser:
    """A page, what went wrong on it, and what its terminal was sent."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        self.shown = b""
        self._came = asyncio.Event()
        page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("requestfailed", lambda request: self.wrong.append(request.url))
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        def came(frame: str | bytes) -> None:
            self.shown += frame if isinstance(frame, bytes) else b""
            self._came.set()

        socket.on("framereceived", came)

    async def until(self, holds: Callable[[bytes], bool]) -> None:
        """Wait until what the terminal was sent since `shown` was emptied is as it should be."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not holds(self.shown):
                self._came.clear()
                await self._came.wait()

    async def log_in(self, key: str) -> None:
        await self.page.fill("#key", key)
        await self.page.click("button")


@pytest.fixture
async def browser(site) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        page = await chromium.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(DEADLINE_SECONDS * 1000)
        await page.goto(site)
        yield Browser(page)
        await chromium.close()


async def test_an_operator_logs_in_looks_and_leaves(browser, shop):
    page = browser.page
    await browser.log_in(shop.tokens["viewer"])
    await browser.until(lambda shown: b"LIVE" in shown and b"overview" in shown)

    browser.shown = b""
    await page.keyboard.press("F5")  # the log's screen, and not the browser's reload
    await browser.until(lambda shown: b"SaleMoved" in shown)
    browser.shown = b""
    await page.set_viewport_size({"width": 900, "height": 500})
    await browser.until(lambda shown: b"LIVE" in shown)
    assert browser.wrong == []

    await page.keyboard.press("q")
    await page.get_by_text("The dashboard has ended.").wait_for()
    await page.click("text=Log out")
    await page.locator("#key").wait_for()


async def test_somebody_without_a_key_is_told_so_and_sees_nothing(browser):
    await browser.log_in("tk_wrong")

    assert (
        await browser.page.inner_text("[role=alert]") == "That is no key of an operator, or it was revoked."
    )
    assert await browser.page.locator("#terminal").count() == 0
    assert browser.shown == b""
