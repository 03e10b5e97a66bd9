"""`titan up`: from a data folder to a serving cell, and back to nothing."""

import asyncio
import contextlib
import os
import resource
import signal
import time
from importlib import metadata
from pathlib import Path

import msgspec

from cells.settings import Settings
from cells.supervisor import ports
from cells.supervisor.cell import Cell
from cells.supervisor.console import BOLD, DIM, GREEN, RED, YELLOW, Console
from cells.supervisor.control import Answer, ControlServer, Request
from cells.supervisor.layout import Layout, Sockets
from cells.supervisor.lock import DataLock
from cells.supervisor.plan import Plan
from cells.supervisor.status import Status
from cells.trouble import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, Trouble

MOST_FILES = 1 << 20


class Options(msgspec.Struct, frozen=True):
    """How this run differs from the next one on the same data."""

    demo: bool = False
    announce: int | None = None  # descriptor that is told "ready" or "failed", by a process that waits for it


def version() -> str:
    try:
        return metadata.version("titan-commerce")
    except metadata.PackageNotFoundError:
        return "0.1.0"


def raise_limits() -> int:
    """Let this process and its children open as many files as the machine allows; how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Supervisor:
    """One run of `titan up`."""

    def __init__(self, settings: Settings, *, plan: Plan, console: Console, options: Options) -> None:
        if settings.cells != 1:
            raise Trouble(
                f"{settings.cells} cells were asked for, but this version runs one.",
                "Several cells on one machine are not built yet.",
                "titan up    (or several data folders: titan up --data DIR --port N)",
                code=EXIT_USAGE,
            )
        self._settings = settings
        self._plan = plan
        self._console = console
        self._options = options
        self._layout = Layout(Path(settings.data))
        self._stop = asyncio.Event()
        self._cell: Cell | None = None
        self._announce = options.announce

    async def run(self) -> int:
        """Serve until told to stop; the exit code."""
        began = time.monotonic()
        self._layout.make()
        lock = DataLock(self._layout.lock)
        lock.acquire()
        sockets = Sockets(self._layout)
        sockets.sweep()
        try:
            return await self._serve(sockets, began)
        except Trouble as trouble:
            self._fail(trouble)
            return trouble.code
        finally:
            sockets.remove()
            lock.release()
            self._tell("failed")

    async def _serve(self, sockets: Sockets, began: float) -> int:
        settings = self._settings
        files = raise_limits()
        ports.require(settings.host, settings.port)
        paint = self._console.paint
        self._console.line(f" {paint(f'Titan {version()}', BOLD)}  ·  data {settings.data}  ·  {files} files")
        self._cell = cell = Cell(
            settings,
            self._layout,
            sockets,
            realtime_port=self._realtime_port(),
            plan=self._plan,
            console=self._console,
        )
        control = ControlServer(self._layout, sockets, self._answer)
        await control.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled)
        try:
            return await self._start_and_wait(cell, began)
        except Trouble as trouble:
            self._fail(trouble)
            return trouble.code
        finally:
            await self._drain(cell)
            control.close()

    async def _start_and_wait(self, cell: Cell, began: float) -> int:
        starting = asyncio.create_task(cell.start())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return EXIT_FAILED
            starting.result()
            await self._greet(cell, began)
            await stopping
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
        return EXIT_DONE

    def _realtime_port(self) -> int:
        settings = self._settings
        following = settings.port + 1
        if ports.is_free(settings.host, following):
            return following
        return ports.choose(settings.host, {settings.port})

    def _signalled(self) -> None:
        if self._stop.is_set():
            if self._cell is not None:
                self._cell.kill()
            return
        self._stop.set()

    def _answer(self, request: Request) -> Answer:
        if request.do == "down":
            self._stop.set()
        if request.do == "restart":
            return Answer(error=self._cell.restart(request.process) if self._cell else "nothing runs yet")
        return Answer(status=self._status(), pid=os.getpid())

    def _status(self) -> Status | None:
        if self._cell is None:
            return None
        config = self._cell.config
        return Status(
            ready=self._cell.sells,
            edge=config.public_api,
            data=self._settings.data,
            fsync=self._cell.fsync,
            cells=[self._cell.status()],
        )

    async def _greet(self, cell: Cell, began: float) -> None:
        console, config, paint = self._console, cell.config, self._console.paint
        if self._options.demo and not cell.reason:
            lines = await cell.seed()
            console.done("demo data")
            for line in lines:
                console.line(f"    {line}")
        fsync = (
            "every acknowledged write" if cell.fsync == "always" else "not proven: the external NATS decides"
        )
        console.line(f"  {paint('✔', GREEN)} {'fsync':<9} {cell.fsync}: {fsync}")
        console.line()
        console.line(f"  API        {paint(config.public_api, BOLD)}")
        console.line(f"  Realtime   {config.public_realtime}")
        console.line(f"  API docs   {config.public_api}/schema")
        console.line()
        took = time.monotonic() - began
        if cell.reason:
            console.line(f"  {paint('FENCED', RED)}: {cell.reason}")
            console.line("  It answers, but takes no orders. Next:  titan doctor  |  titan log verify")
            self._tell("fenced")
            return
        following = "Next:  titan top  |  titan demo flash-sale  |  titan status"
        console.line(f"  {paint(f'Ready in {took:.1f} s.', GREEN)}   {following}")
        if self._announce is None:
            console.line(f"  {paint('Ctrl-C stops everything.', DIM)}")
        self._tell("ready")

    def _fail(self, trouble: Trouble) -> None:
        first, *others = str(trouble).splitlines()
        self._console.line(f"  {self._console.paint('✘', RED)} {first}")
        for line in others:
            self._console.line(f"  {line}")

    def _tell(self, outcome: str) -> None:
        """Tell whoever waits for this start, once."""
        descriptor, self._announce = self._announce, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.write(descriptor, f"{outcome}\n".encode())
                os.close(descriptor)

    async def _drain(self, cell: Cell) -> None:
        began = time.monotonic()
        hint = "   Ctrl-C again ends it at once." if self._stop.is_set() else ""
        self._console.line(f"  {self._console.paint('stopping', YELLOW)}{hint}")
        await cell.drain()
        self._console.line(f"  stopped in {time.monotonic() - began:.1f} s")
