"""What of the present is in no log: processes, figures, the disk, and how the log itself is."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from cells.config import CellConfig
from cells.kernel.clock import Clock
from cells.log.port import LogInfo, LogUnavailable
from cells.supervisor.control import Request, ask
from cells.supervisor.layout import Layout
from cells.supervisor.status import CellStatus
from cells.telemetry.collect import Collected
from server.ops import measures, words
from server.ops.alerts import Alerts, Disk, Situation
from server.ops.frame import Live, Measured
from server.ops.state import State

_log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 1.0
STATUS_SECONDS: Final = 2.0
DISK_TURNS: Final = 10
"""Looks at everything, of which one is at the disk too."""


class Extent(Protocol):
    """What is asked of the log."""

    @property
    def fenced(self) -> str | None:
        """Why it may not be written; None when it is sound."""

    async def info(self) -> LogInfo | None:
        """Return the extent. Raises `LogUnavailable`."""


class Present:
    """Looks at the cell every second and remembers what it saw."""

    def __init__(self, config: CellConfig, log: Extent, collected: Collected, clock: Clock) -> None:
        self.status: CellStatus | None = None
        self._config = config
        self._layout = Layout(Path(config.data).parents[1], config.cell)
        self._log = log
        self._collected = collected
        self._clock = clock
        self._alerts = Alerts()
        self._extent: LogInfo | None = None
        self._disk: Disk | None = None
        self._shown: list[words.Alert] = []
        self._measured = Measured()
        self._turn = 0

    async def watch(self, board: Callable[[], State], changed: Callable[[], None]) -> None:
        """Look for ever. `changed` is called when a process has another state than before."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            before = self._states()
            await self.look(board())
            if self._states() != before:
                changed()
            await asyncio.sleep(max(0.0, began + EVERY_SECONDS - loop.time()))

    async def look(self, board: State) -> None:
        """Look once. What does not answer within its deadline is away."""
        self.status, self._extent = await asyncio.gather(self._ask(), self._info())
        if self._turn % DISK_TURNS == 0:
            self._disk = await asyncio.to_thread(disk_of, self._config.data)
        self._turn += 1
        self._measured = measures.measured(self._collected)
        self._shown = self._alerts.update(self._situation(), board, self._clock.now())

    def live(self) -> Live:
        """Return what was seen last, as of now."""
        return Live(
            cell=self._config.cell,
            slots=list(self._config.slots),
            at=self._clock.now(),
            log=self._log_state(),
            status=self.status,
            measured=self._measured,
            alerts=self._shown,
        )

    @property
    def last(self) -> int:
        """The last position of the log, when it was looked at."""
        return self._extent.last if self._extent else 0

    def _states(self) -> list[tuple[str, int, str]]:
        return [(p.name, p.pid, p.state) for p in self.status.processes] if self.status else []

    async def _ask(self) -> CellStatus | None:
        try:
            async with asyncio.timeout(STATUS_SECONDS + 1):
                answer = await asyncio.to_thread(ask, self._layout, Request("status"), STATUS_SECONDS)
        except TimeoutError:
            return None
        cells = answer.status.cells if answer and answer.status else []
        return next((cell for cell in cells if cell.id == self._config.cell), None)

    async def _info(self) -> LogInfo | None:
        with contextlib.suppress(LogUnavailable):
            return await self._log.info()
        return None

    def _log_state(self) -> words.LogState:
        extent = self._extent or LogInfo(0, 0, 0, "")
        state = "fenced" if self._log.fenced else "sound" if self._extent else "away"
        return words.LogState(
            extent.first,
            extent.last,
            extent.epoch,
            extent.messages,
            self._config.fsync,
            state,
            measures.projected(self._collected),
            round(measures.lag_ms(self._collected), 1),
        )

    def _situation(self) -> Situation:
        hold = next((each for each in self._measured.latencies if each.name == "hold"), None)
        return Situation(
            status=self.status,
            log=self._log_state(),
            hold_p99_ms=hold.p99_ms if hold else 0.0,
            holds=hold.count if hold else 0,
            errors=measures.errors(self._collected),
            disk=self._disk,
            why_fenced=self._log.fenced or "",
            log_bytes=self._extent.bytes if self._extent else 0,
            log_max_bytes=self._extent.max_bytes if self._extent else 0,
        )


def disk_of(folder: str) -> Disk | None:
    """Return what is free where a folder lies; None where that cannot be read."""
    try:
        found = shutil.disk_usage(folder)
    except OSError as error:
        _log.warning("the disk cannot be looked at", reason=str(error))
        return None
    return Disk(found.free, found.total)
