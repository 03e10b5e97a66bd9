"""Runs one role of a cell: `python -m cells.process ROLE [module:function]`.

The role is `async def main(config: CellConfig, process: Process) -> None`. It returns when `process.stopping` is
set, or earlier when it has nothing left to do; an exception ends the process with exit code 1 and the supervisor
starts it again.
"""

import asyncio
import gc
import importlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from cells import parentage
from cells.config import CellConfig, load
from cells.trouble import Trouble

ROLES = {
    "api": "server.app:main",
    "writer": "server.writer:main",
    "hub": "realtime.main:main",
    "projector": "server.projector:main",
    "observer": "server.observer:main",
}
# What may lag yields to what people wait for, where there are fewer processors than work.
NICENESS = {"projector": 5, "observer": 10}
STATUS_VARIABLE = "TITAN_STATUS_FD"
GATE_VARIABLE = "TITAN_GATE_FD"
# Exit code of a role that cannot be loaded: starting it again will not help.
USELESS_TO_RETRY = 78
HEARTBEAT_SECONDS = 1.0
# A request makes more objects than the collector's usual 700, nearly all of which go without it: collecting that
# often is a fifth of an api's processor time and stops it for as long as tens of requests take.
COLLECTOR_THRESHOLDS = (50_000, 20, 50)

State = Literal["starting", "serving", "fenced", "standby", "draining"]


class Process:
    """What a role knows of its own process: its name, when to stop, and how to say how it is."""

    def __init__(self, name: str, status_fd: int | None = None) -> None:
        self.name = name
        self.stopping = asyncio.Event()
        self.served = asyncio.Event()
        self.state: State = "starting"
        self.detail = ""
        self._status_fd = status_fd
        if status_fd is not None:
            os.set_blocking(status_fd, False)

    def report(self, state: State, detail: str = "") -> None:
        """Tell the supervisor. Call on every change; the last report is repeated as the heartbeat."""
        self.state = state
        self.detail = detail
        if state == "serving":
            self.served.set()
        self._send()

    def stop(self) -> None:
        if not self.stopping.is_set():
            self.stopping.set()
            self.report("draining")

    async def beat(self) -> None:
        """Repeat the last report for as long as the event loop turns: a loop that hangs falls silent."""
        while True:
            self._send()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _send(self) -> None:
        if self._status_fd is None:
            return
        # Below PIPE_BUF, so that a line is written whole or not at all.
        detail = "".join(c for c in self.detail if c.isprintable() and c not in '"\\')[:1000]
        line = f'{{"state":"{self.state}","detail":"{detail}"}}\n'.encode()
        try:
            os.write(self._status_fd, line)
        except BlockingIOError:
            pass  # the supervisor is behind and has unread reports of ours: it knows that we are alive
        except OSError:
            self._status_fd = None


Main = Callable[[CellConfig, Process], Awaitable[None]]


def resolve(target: str) -> Any:
    """Import `module:function`. Raises Trouble with the import error where there is no such thing."""
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise Trouble(
            f"{target} cannot be loaded.", f"{type(error).__name__}: {error}", "titan doctor"
        ) from error


async def _run(main: Main, config: CellConfig, process: Process) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.stop)
    beside = [asyncio.create_task(process.beat()), asyncio.create_task(_calm_collector(process))]
    try:
        await main(config, process)
    finally:
        for task in beside:
            task.cancel()


async def _calm_collector(process: Process) -> None:
    """Collect seldom, and never look again at what a role has made by the time it serves."""
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    await process.served.wait()
    gc.collect()
    gc.freeze()


def run(role: str, target: str) -> int:
    """Run the role to its end; the exit code of the process."""
    import structlog  # noqa: PLC0415 - the parent's death signal is armed before the slow imports
    import uvloop  # noqa: PLC0415 - see above

    from cells import diagnostics  # noqa: PLC0415 - see above

    log = structlog.get_logger("cells.process")
    diagnostics.configure(role, "")
    try:
        main: Main = resolve(target)
    except Trouble as trouble:
        log.error("role cannot be loaded", reason=trouble.why)
        return USELESS_TO_RETRY
    _wait_for_gate()
    descriptor = os.environ.pop(STATUS_VARIABLE, None)
    try:
        config = load()
        diagnostics.configure(role, config.cell, config.log_level)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            process = runner.run(_make(role, descriptor))
            runner.run(_run(main, config, process))
    except Trouble as trouble:
        log.error(trouble.what, reason=trouble.why)
        return 1
    except Exception:
        log.exception("role failed")
        return 1
    return 0


def _wait_for_gate() -> None:
    """Wait until the supervisor closes its end: then what this role needs is there. Its code is loaded by now."""
    descriptor = os.environ.pop(GATE_VARIABLE, None)
    if descriptor is not None:
        with os.fdopen(int(descriptor), "rb", buffering=0) as gate:
            gate.read(1)


async def _make(role: str, descriptor: str | None) -> Process:
    return Process(role, int(descriptor) if descriptor else None)


def entry(arguments: list[str]) -> int:
    parentage.die_with_parent()
    if not arguments or (len(arguments) == 1 and arguments[0] not in ROLES):
        sys.stderr.write(
            f"usage: python -m cells.process ROLE [module:function]   (roles: {', '.join(ROLES)})\n"
        )
        return 2
    role = arguments[0]
    os.nice(NICENESS.get(role, 0))
    return run(role, arguments[1] if len(arguments) > 1 else ROLES[role])


if __name__ == "__main__":
    # Run as the imported module, so that a role's `from cells.process import Process` is this very class.
    from cells.process import entry as imported_entry

    sys.exit(imported_entry(sys.argv[1:]))
