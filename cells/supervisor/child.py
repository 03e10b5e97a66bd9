"""One process that is kept running: started, watched, started again, stopped."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable

import msgspec
import psutil

from cells.parentage import PARENT_VARIABLE
from cells.process import USELESS_TO_RETRY
from cells.supervisor.output import Output
from cells.supervisor.watch import READY, ChildState, Watch
from cells.trouble import Trouble

HEALTHY_SECONDS = 30.0
RESTART_SECONDS = 5.0  # until a process that was asked to restart is killed
LOOP_FAILURES = 4  # in a row
FIRST_DELAY, LONGEST_DELAY = 0.05, 5.0


class Launch(msgspec.Struct, frozen=True):
    """How to start a process once."""

    command: tuple[str, ...]
    environment: dict[str, str]
    folder: str = "/"


def delay_after(failures: int) -> float:
    """Seconds until the next start after that many failures in a row: 0.05, 0.1, 0.2 … at most 5."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** max(0, failures - 1))


async def spawn(launch: Launch, watch: Watch) -> asyncio.subprocess.Process:
    variables, descriptors = watch.open()
    try:
        return await asyncio.create_subprocess_exec(
            *launch.command,
            env={**launch.environment, **variables, PARENT_VARIABLE: str(os.getpid())},
            cwd=launch.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=descriptors,
            # Its own session: Ctrl-C in the terminal reaches the supervisor alone, which then drains in order.
            start_new_session=True,
        )
    finally:
        watch.inherited()


class Child:
    """Keeps one process running until `stop`.

    `start` is asked before every start; `changed` is called at every change of state and `fell` with a sentence when
    the process ended unasked. `give_up` is asked when the process failed several times in a row; it may
    throw away what is in the way and says whether that gives new hope.
    """

    def __init__(
        self,
        name: str,
        *,
        label: str,
        start: Callable[[], Awaitable[Launch]],
        watch: Watch,
        output: Output,
        changed: Callable[[], None],
        fell: Callable[[str], None] = lambda _what: None,
        give_up: Callable[[], Awaitable[bool]] | None = None,
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
        self._start = start
        self._watch = watch
        self._output = output
        self._changed = changed
        self._fell = fell
        self._give_up = give_up
        self._stop_signal = stop_signal
        self._stopping = asyncio.Event()
        self._asked = False
        self._useless = False
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
        if self.pid and not self._stopping.is_set():
            self._asked = True
            self._send(self._stop_signal)
            asyncio.get_running_loop().call_later(RESTART_SECONDS, self._insist, self.pid)

    def _insist(self, pid: int) -> None:
        if self.pid == pid:
            self._kill_tree()

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
        if (state, detail) != (self.state, self.detail):
            self.state = state
            self.detail = detail
            self._changed()

    def _tell(self, state: ChildState, detail: str) -> None:
        """The process gave a sign of life."""
        self._heard = time.monotonic()
        if state in READY:
            self.trouble = None
        self._become(state, detail)

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._once()
            except Trouble as trouble:
                self.trouble = trouble
            except OSError as error:
                self.trouble = Trouble(f"{self.name} cannot be started.", str(error), "titan doctor")
            self.pid = 0
            if not self._stopping.is_set():
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
        if self.failures >= LOOP_FAILURES and self._give_up is not None and await self._give_up():
            self.failures = 1
        self._fell(self.trouble.what if self.trouble else "")
        looping = self._useless or self.failures >= LOOP_FAILURES
        self._become("crash-loop" if looping else "restarting", self.trouble.what if self.trouble else "")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay_after(self.failures))

    async def _once(self) -> None:
        """Start the process and stay with it to its end."""
        launch = await self._start()
        self._become("starting", self.detail)
        process = await spawn(launch, self._watch)
        self._process, self.pid, self._heard = process, process.pid, time.monotonic()
        if self._stopping.is_set():
            self._send(self._stop_signal)
        pump = asyncio.create_task(self._output.pump(process.stdout or asyncio.StreamReader()))
        watches = (asyncio.create_task(self._follow()), asyncio.create_task(self._notice_hang()))
        try:
            code = await process.wait()
        finally:
            for task in watches:
                task.cancel()
            ends = await asyncio.gather(*watches, return_exceptions=True)
            # Descendants may hold the pipe open for longer than the process lived.
            await asyncio.wait({pump}, timeout=0.2)
            pump.cancel()
        raised = next((end for end in ends if isinstance(end, Trouble)), None)
        self.trouble = raised or self._ended(code)

    def _ended(self, code: int) -> Trouble:
        self._useless = code == USELESS_TO_RETRY
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return Trouble(f"{self.name} {how}.", self._output.explain(), f"titan logs {self.label}")

    async def _follow(self) -> None:
        try:
            await self._watch.follow(self._tell)
        except Trouble:
            self._kill_tree()
            raise

    async def _notice_hang(self) -> None:
        """Kill the process when it has been silent for too long."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            # After a pause of our own (a suspended machine) the silence says nothing about the process.
            if now - before > 3.0:
                self._heard = now
            before = now
            limit = self._watch.patience(ready=self.ready)
            if now - self._heard > limit:
                self._kill_tree()
                raise Trouble(
                    f"{self.name} was silent for {limit:.0f} s and was killed.",
                    "",
                    f"titan logs {self.label}",
                )
