"""One supervised process: restarted, counted, given up, killed when it hangs."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cells.supervisor.child import Child, Launch, delay_after
from cells.supervisor.output import Output
from cells.supervisor.watch import Reports

SERVES = """
import os, time
fd = int(os.environ["TITAN_STATUS_FD"])
os.write(fd, b'{"state":"serving","detail":""}\\n')
while True:
    time.sleep(0.2)
    os.write(fd, b'{"state":"serving","detail":""}\\n')
"""
FALLS_SILENT = SERVES.replace("while True:", "time.sleep(3600)\nwhile True:")
FAILS = "import sys; sys.exit('no luck today')"


class Watched:
    """A child and a way to wait for what it becomes."""

    def __init__(self, tmp_path, program: str, hung_after: float = 15.0, **options: Any) -> None:
        self._changed = asyncio.Event()
        output = Output(tmp_path / "x.log", ours=True, show=lambda _level, _text: None)
        launch = Launch((sys.executable, "-S", "-c", program), dict(os.environ))

        async def start() -> Launch:
            return launch

        self.child = Child(
            "x",
            label="x",
            start=start,
            watch=Reports(hung_after=hung_after),
            output=output,
            changed=self._changed.set,
            **options,
        )
        self.child.begin()

    async def until(self, met: Callable[[Child], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not met(self.child):
                self._changed.clear()
                await self._changed.wait()

    async def stop(self, seconds: float = 2.0) -> None:
        await self.child.stop(asyncio.get_running_loop().time() + seconds)


@pytest.fixture
async def watch(tmp_path):
    watched: list[Watched] = []

    def make(program: str, **options: Any) -> Watched:
        watched.append(Watched(tmp_path, program, **options))
        return watched[-1]

    yield make
    for each in watched:
        await each.stop(0.0)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_first_restart_is_at_once_and_the_wait_is_bounded():
    delays = [delay_after(failures) for failures in range(1, 30)]

    assert delays[0] <= 0.1
    assert delays == sorted(delays)
    assert max(delays) == 5.0


async def test_a_process_that_dies_is_started_again_and_counted(watch):
    watched = watch(SERVES)
    await watched.until(lambda child: child.ready)
    first = watched.child.pid

    os.kill(first, 9)
    await watched.until(lambda child: child.state == "restarting")
    await watched.until(lambda child: child.ready)

    assert watched.child.pid != first
    assert watched.child.restarts == 1


async def test_a_process_that_cannot_live_is_a_crash_loop_that_says_why_and_goes_on(watch):
    watched = watch(FAILS)
    await watched.until(lambda child: child.state == "crash-loop")

    assert watched.child.trouble is not None
    assert "no luck today" in watched.child.trouble.why
    before = watched.child.restarts
    await watched.until(lambda child: child.restarts > before)


async def test_hope_after_a_crash_loop_is_tried(watch):
    """Given an engine whose data can be thrown away, it is, before anybody is told that there is no hope."""
    asked = asyncio.Event()

    async def give_up() -> bool:
        asked.set()
        return False

    watched = watch(FAILS, give_up=give_up)
    await watched.until(lambda child: child.state == "crash-loop")

    assert asked.is_set()


async def test_a_process_that_falls_silent_is_killed_and_started_again(watch):
    watched = watch(FALLS_SILENT, hung_after=0.5)
    await watched.until(lambda child: child.ready)
    first = watched.child.pid

    await watched.until(lambda child: child.restarts == 1)

    assert not alive(first)
    assert "silent" in watched.child.detail


async def test_a_process_that_ignores_the_stop_is_killed_at_the_deadline(watch):
    watched = watch("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES)
    await watched.until(lambda child: child.ready)
    pid = watched.child.pid
    loop = asyncio.get_running_loop()
    began = loop.time()

    await watched.stop(0.3)

    assert loop.time() - began < 2.0
    assert not alive(pid)
    assert watched.child.state == "stopped"


async def test_a_restart_that_was_asked_for_is_no_failure(watch):
    watched = watch(SERVES)
    await watched.until(lambda child: child.ready)

    watched.child.restart()
    await watched.until(lambda child: child.restarts == 1)
    await watched.until(lambda child: child.ready)

    assert watched.child.failures == 0
