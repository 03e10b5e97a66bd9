"""What is well with a running cell and its machine, and what is not."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog

from cells.cli import checks
from cells.cli.checks import Check
from cells.config import CellConfig
from cells.settings import Settings
from cells.supervisor.status import CellStatus
from server.ops import words

_log = structlog.get_logger(__name__)

# Those of `titan doctor` that make sense while the cell runs.
CHECKS: Final = (
    checks.python,
    checks.machine,
    checks.wheels,
    checks.limits,
    checks.disk,
    checks.permissions,
    checks.syncs,
    checks.network,
    checks.clock,
)
FRESH_SECONDS: Final = 30.0
"""For as long a finding about the machine stands: the looks cost, and one of them syncs the disk of the log."""

DEADLINE_SECONDS: Final = 2.0


class Diagnosis:
    """Puts together what `titan doctor` knows and what the observer sees."""

    def __init__(self, config: CellConfig, monotonic: Callable[[], float] = time.monotonic) -> None:
        data = Path(config.data).parents[1]
        self._settings = Settings(data=str(data), host=config.host, port=config.api_port)
        self._monotonic = monotonic
        self._machine: list[words.Finding] = []
        self._looked = float("-inf")
        self._looking: asyncio.Task[list[words.Finding]] | None = None

    async def health(self, frame: words.Frame, status: CellStatus | None) -> words.Health:
        """Return what was found: the cell first, then what is wrong, then the machine."""
        return words.Health([*of_cell(frame, status), *of_alerts(frame.alerts), *await self._of_machine()])

    async def _of_machine(self) -> list[words.Finding]:
        """Look, at most every 30 s; a look that takes too long is answered with the last one."""
        if self._looking is None and self._monotonic() - self._looked > FRESH_SECONDS:
            self._looking = asyncio.create_task(asyncio.to_thread(_look, self._settings))
        if self._looking is not None:
            done, _ = await asyncio.wait({self._looking}, timeout=DEADLINE_SECONDS)
            if done and self._looking is not None:
                self._machine, self._looked, self._looking = self._looking.result(), self._monotonic(), None
        return self._machine


def _look(settings: Settings) -> list[words.Finding]:
    found: list[words.Finding] = []
    for check in CHECKS:
        try:
            found += [_finding(each) for each in check(settings)]
        except Exception as error:  # noqa: BLE001 - one look that fails must not hide the others
            _log.warning("a check failed", check=check.__name__, reason=repr(error))
            found.append(words.Finding(check.__name__, "warn", f"cannot be checked: {error}", "titan doctor"))
    return found


def _finding(check: Check) -> words.Finding:
    return words.Finding(check.name, check.level, check.found, check.mend)


def of_alerts(alerts: list[words.Alert]) -> Iterator[words.Finding]:
    """Yield what is wrong at the moment."""
    for alert in alerts:
        level: words.Level = "fail" if alert.severity == "critical" else "warn"
        yield words.Finding(
            alert.id, level, f"{alert.what}: {alert.why}" if alert.why else alert.what, alert.mend
        )


def of_cell(frame: words.Frame, status: CellStatus | None) -> Iterator[words.Finding]:
    """Yield how the cell's parts stand, well or not."""
    if status is not None:
        well = status.state == "serving"
        level: words.Level = "ok" if well else "fail" if status.state == "fenced" else "warn"
        detail = f"{frame.cell} is {status.state}{f': {status.reason}' if status.reason else ''}"
        yield words.Finding("cell", level, detail, "" if well else "titan status")
    log = frame.log
    yield words.Finding(
        "log",
        "ok" if log.state == "sound" else "fail",
        f"{log.state}, positions {log.first} to {log.last}, epoch {log.epoch}",
        "" if log.state == "sound" else "titan log verify",
    )
    synced = log.fsync == "always"
    yield words.Finding(
        "fsync of the log",
        "ok" if synced else "warn",
        log.fsync,
        "" if synced else "set sync_interval: always in the external nats-server",
    )
    yield words.Finding("observer", "warn" if frame.catching_up else "ok", _observed(frame), "")
    behind = f"at {log.projected}, {log.lag_ms / 1000:.2f} s behind"
    yield words.Finding("read models", "ok", behind, "")
    totals = frame.totals
    sound = not totals.oversold and not totals.duplicate_units
    units = f"{totals.held} held and {totals.sold} sold of {totals.stock}, {totals.oversold} oversold, {totals.duplicate_units} given twice"
    yield words.Finding("units", "ok" if sound else "fail", units, "" if sound else "titan log verify")


def _observed(frame: words.Frame) -> str:
    return f"at {frame.position} of {frame.last}{', still reading the log' if frame.catching_up else ''}"
