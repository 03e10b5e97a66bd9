"""One process that is kept running: started, watched, started again, stopped."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
import psutil

from cells.parentage import PARENT_VARIABLE
from cells.process import STATUS_VARIABLE
from cells.supervisor.output import Output
from cells.trouble import Trouble

HUNG_SECONDS = 15.0
HEALTHY_SECONDS = 30.0
RECOVERY_SECONDS = 180.0  # an engine may read a long log before it answers for the first time
PROBE_SECONDS = 5.0  # between probes of an engine that runs
PROBE_DEADLINE = 2.0
LOOP_FAILURES = 4  # in a row
FIRST_DELAY, LONGEST_DELAY = 0.05, 5.0

ChildState = Literal[
    "starting", "running", "standby", "fenced", "draining", "restarting", "crash-loop", "stopped"
]
_REPORTED: dict[str, ChildState] = {
    "starting": "starting",
    "serving": "running",
    "standby": "standby",
    "fenced": "fenced",
    "draining": "draining",
}
READY = frozenset({"running", "standby", "fenced"})


class Report(msgspec.Struct):
    """A line of the status pipe."""

    state: str
    detail: str = ""


class Launch(msgspec.Struct, frozen=True):
    """How to start a process once."""

    command: tuple[str, ...]
    environment: dict[str, str]
    folder: str = "/"


def delay_after(failures: int) -> float:
    """Seconds until the next start after that many failures in a row: 0.05, 0.1, 0.2 … at most 5."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** max(0, failures - 1))


class Child:
    """Keeps one process running until `stop`.

    `start` is asked before every start. A process with a `probe` is an engine: ready when the probe passes, hung
    when it stays silent. One without is a role, which reports on its status pipe. `verify` runs after an engine
    became ready and before anyone is told so.
    """

    def __init__(
        self,
        name: str,
        *,
        label: str,
        start: Callable[[], Awaitable[Launch]],
        output: Output,
        changed: Callable[[], None],
        probe: Callable[[], Awaitable[None]] | None = None,
        verify: Callable[[], Awaitable[None]] | None = None,
        given_up: Callable[[], Awaitable[bool]] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.label = label
        self.state: ChildState = "starting"
        self.detail = ""
        self.pid = 0
        self.restarts = 0
        self.failures = 0
        self.trouble: Trouble | None = None
        self.ready_after = 0.0
        self._output = output
        self._start = start
        self._probe = probe
        self._verify = verify
        self._given_up = given_up
        self._changed = changed
        self._stop_signal = stop_signal
        self._stopping = asyncio.Event()
        self._asked = False
        self._heard = 0.0
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ready(self) -> bool:
        return self.state in READY

    def begin(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"child {self.name}")

    def restart(self) -> None:
        """Ask the process to end; it is started again at once and this is no failure."""
        self._asked = True
        self._send(self._stop_signal)

    async def stop(self, deadline: float) -> None:
        """End the process. Whoever is left at `deadline` (loop time) is killed, with all its descendants."""
        self._stopping.set()
        if self._task is None:
            self._become("stopped")
            return
        self._send(self._stop_signal)
        loop = asyncio.get_running_loop()
        done, _ = await asyncio.wait({self._task}, timeout=max(0.0, deadline - loop.time()))
        if not done:
            self.kill()
            await asyncio.wait({self._task}, timeout=2.0)
        self._task.cancel()
        self._output.close()

    def kill(self) -> None:
        """SIGKILL to the process and all its descendants."""
        self._stopping.set()
        self._kill_tree()

    def _kill_tree(self) -> None:
        if not self.pid:
            return
        with contextlib.suppress(psutil.Error):
            family = psutil.Process(self.pid).children(recursive=True)
            self._send(signal.SIGKILL)
            for member in family:
                with contextlib.suppress(psutil.Error):
                    member.kill()
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    def _become(self, state: ChildState, detail: str = "") -> None:
        if (state, detail) == (self.state, self.detail):
            return
        self.state = state
        self.detail = detail
        self._changed()

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._once(began)
            except Trouble as trouble:
                self.trouble = trouble
            except OSError as error:
                self.trouble = Trouble(f"{self.name} cannot be started.", str(error), "titan doctor")
            self.pid = 0
            if self._stopping.is_set():
                break
            await self._pause(time.monotonic() - began)
        self._become("stopped")

    async def _pause(self, lived: float) -> None:
        """Wait as long as the failures so far ask for, unless told to stop."""
        self.restarts += 1
        if self._asked:
            self._asked = False
            self._become("restarting", "asked to")
            return
        self.failures = 1 if lived >= HEALTHY_SECONDS else self.failures + 1
        looping = self.failures >= LOOP_FAILURES
        self._become("crash-loop" if looping else "restarting", self.trouble.what if self.trouble else "")
        if looping and self._given_up is not None and await self._given_up():
            self.failures = 0
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay_after(self.failures))

    async def _once(self, began: float) -> None:
        launch = await self._start()
        self._become("starting", self.detail)
        reader, writer = os.pipe() if self._probe is None else (-1, -1)
        try:
            process = await self._spawn(launch, writer)
        except BaseException:
            if reader != -1:
                os.close(reader)
            raise
        finally:
            if writer != -1:
                os.close(writer)
        self._process, self.pid, self._heard = process, process.pid, time.monotonic()
        if self._stopping.is_set():
            self._send(self._stop_signal)
        assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
        pump = asyncio.create_task(self._output.pump(process.stdout))
        watch = asyncio.create_task(
            self._listen(reader, began) if self._probe is None else self._attend(began)
        )
        hang = asyncio.create_task(self._watch_for_hang())
        try:
            code = await process.wait()
        finally:
            for task in (watch, hang):
                task.cancel()
            results = await asyncio.gather(watch, hang, return_exceptions=True)
            # Descendants may hold the pipe open for longer than the process lived.
            await asyncio.wait({pump}, timeout=0.2)
            pump.cancel()
        raised = next((r for r in results if isinstance(r, Trouble)), None)
        self.trouble = raised or self._ended(code)

    def _ended(self, code: int) -> Trouble:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return Trouble(f"{self.name} {how}.", self._output.explain(), f"titan logs {self.label}")

    async def _spawn(self, launch: Launch, status: int) -> asyncio.subprocess.Process:
        environment = {**launch.environment, PARENT_VARIABLE: str(os.getpid())}
        if status != -1:
            environment[STATUS_VARIABLE] = str(status)
        return await asyncio.create_subprocess_exec(
            *launch.command,
            env=environment,
            cwd=launch.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=() if status == -1 else (status,),
            # Its own session: Ctrl-C in the terminal reaches the supervisor alone, which then drains in order.
            start_new_session=True,
        )

    def _passed(self, began: float) -> None:
        self.ready_after = time.monotonic() - began
        self.trouble = None

    async def _listen(self, descriptor: int, began: float) -> None:
        """Follow a role's reports until its pipe closes."""
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=8192)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", buffering=0)
        )
        try:
            while line := await stream.readline():
                self._heard = time.monotonic()
                try:
                    report = msgspec.json.decode(line, type=Report)
                except msgspec.DecodeError:
                    continue
                state = _REPORTED.get(report.state)
                if state is None:
                    continue
                if state in READY and not self.ready:
                    self._passed(began)
                self._become(state, report.detail)
        finally:
            transport.close()

    async def _attend(self, began: float) -> None:
        """Probe an engine until it is ready, verify it, and go on probing."""
        assert self._probe is not None  # noqa: S101 - the caller chose this way because of it
        while not await self._answers():  # noqa: ASYNC110 - an engine cannot tell that it is ready
            await asyncio.sleep(0.02)
        self._heard = time.monotonic()
        if self._verify is not None:
            try:
                await self._verify()
            except Trouble:
                self._kill_tree()
                raise
        self._passed(began)
        self._become("running")
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if await self._answers():
                self._heard = time.monotonic()

    async def _answers(self) -> bool:
        assert self._probe is not None  # noqa: S101 - see _attend
        try:
            async with asyncio.timeout(PROBE_DEADLINE):
                await self._probe()
        except (OSError, TimeoutError, EOFError):
            return False
        return True

    async def _watch_for_hang(self) -> None:
        """Kill the process when it has been silent for too long."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            # After a pause of our own (a suspended machine) the silence says nothing about the process.
            if now - before > 3.0:
                self._heard = now
            before = now
            limit = HUNG_SECONDS if self.ready or self._probe is None else RECOVERY_SECONDS
            if now - self._heard > limit:
                self._kill_tree()
                raise Trouble(
                    f"{self.name} was silent for {limit:.0f} s and was killed.",
                    "",
                    f"titan logs {self.label}",
                )
