"""What an operator has to look at: rules over what is known of a cell right now. PURE.

An alert keeps its id and the time it began for as long as it lasts, so that a screen does not flicker and a sound is
made once.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from cells.supervisor.status import CellStatus, ProcessStatus
from server.ops.state import State
from server.ops.words import Alert, LogState, Severity

ENGINES: Final = frozenset({"nats", "valkey", "postgres"})
READY: Final = frozenset({"running", "standby"})
VITAL: Final = frozenset({"nats", "writer", "api"})
"""Without these nothing is sold."""

RESTART_MS: Final = 60_000
LAG_MS, LONG_LAG_MS = 1_000.0, 10_000.0
HOLD_BUDGET_MS: Final = 20.0
ENOUGH_HOLDS: Final = 50
LITTLE_DISK, TOO_LITTLE_DISK = 5 * 2**30, 2**29
SMALL_SHARE: Final = 0.1
NEARLY, FULL = 0.8, 0.95
MOST_SALES: Final = 10
MOST: Final = 30


class Disk(msgspec.Struct, frozen=True):
    """Bytes of the disk that the cell lies on."""

    free: int
    total: int


class Situation(msgspec.Struct, frozen=True):
    """What is known of a cell. `status` is None while its supervisor does not answer.

    `errors` counts answers of the last 10 s that were faults of the cell; `hold_p99_ms` is of `holds` in that time.
    """

    status: CellStatus | None
    log: LogState
    hold_p99_ms: float = 0.0
    holds: int = 0
    errors: int = 0
    disk: Disk | None = None
    why_fenced: str = ""
    log_bytes: int = 0
    log_max_bytes: int = 0


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be, without a memory. `since` is 0 where only the memory knows it."""

    id: str
    severity: Severity
    what: str
    why: str
    mend: str
    since: int = 0


class Alerts:
    """The memory of what was wrong before."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}
        self._restarts: dict[tuple[str, int], tuple[int, int]] = {}

    def update(self, situation: Situation, board: State | None, now: int) -> list[Alert]:
        """Return what is wrong as of `now`, in epoch milliseconds: the worst first, then the oldest."""
        found = [*judged(situation), *(damage(board) if board is not None else ())]
        if situation.status is not None:
            found += self._restarted(situation.status.processes, now)
        self._since = {each.id: each.since or self._since.get(each.id, now) for each in found}
        alerts = [
            Alert(each.id, each.severity, self._since[each.id], each.what, each.why, each.mend)
            for each in found
        ]
        return sorted(alerts, key=order)[:MOST]

    def _restarted(self, processes: Sequence[ProcessStatus], now: int) -> Iterator[Finding]:
        """Notice processes that were started again within the last minute, while this one watched."""
        seen: dict[tuple[str, int], tuple[int, int]] = {}
        for key, process in numbered(processes):
            count, at = self._restarts.get(key, (process.restarts, 0))
            since = now if process.restarts > count else at
            seen[key] = (process.restarts, since)
            if since and now - since < RESTART_MS and process.state in READY:
                yield Finding(
                    f"restarted:{label(key)}",
                    "warning",
                    f"{label(key)} was started again",
                    f"{process.restarts} times in all",
                    f"titan logs {process.name}",
                    since,
                )
        self._restarts = seen


def order(alert: Alert) -> tuple[bool, int, str]:
    """Return what alerts are sorted by."""
    return alert.severity != "critical", alert.since, alert.id


def numbered(processes: Sequence[ProcessStatus]) -> Iterator[tuple[tuple[str, int], ProcessStatus]]:
    """Yield processes with what tells those of the same name apart."""
    counts: dict[str, int] = {}
    for process in processes:
        counts[process.name] = counts.get(process.name, 0) + 1
        yield (process.name, counts[process.name]), process


def label(key: tuple[str, int]) -> str:
    """Return the name of a process as commands know it."""
    name, number = key
    return name if number == 1 else f"{name}-{number}"


def judged(situation: Situation) -> Iterator[Finding]:
    """Yield what is wrong with the processes, the log, the figures and the machine."""
    yield from _processes(situation.status)
    yield from _log(situation)
    yield from _figures(situation)
    yield from _disk(situation.disk)


def _processes(status: CellStatus | None) -> Iterator[Finding]:
    if status is None:
        yield Finding(
            "supervisor",
            "warning",
            "the supervisor does not answer",
            "process states are unknown",
            "titan status",
        )
        return
    for key, process in numbered(status.processes):
        if process.state in READY:
            continue
        name = label(key)
        severity: Severity = "critical" if process.name in VITAL else "warning"
        kind = "engine" if process.name in ENGINES else "process"
        yield Finding(
            f"{kind}:{name}",
            severity,
            f"{name} is {process.state}",
            process.detail or status.reason,
            f"titan logs {process.name}",
        )


def _log(situation: Situation) -> Iterator[Finding]:
    log = situation.log
    if log.state == "fenced":
        yield Finding("log:fenced", "critical", "the log is fenced", situation.why_fenced, "titan log verify")
    elif log.state == "away":
        yield Finding(
            "log:away", "critical", "the log does not answer", "nothing can be sold", "titan logs nats"
        )
    share = situation.log_bytes / situation.log_max_bytes if situation.log_max_bytes else 0.0
    if share > NEARLY:
        yield Finding(
            "log:full",
            "critical" if share > FULL else "warning",
            f"the log is {share:.0%} full",
            f"{situation.log_bytes} of {situation.log_max_bytes} bytes; at the limit nothing is sold",
            "titan log export <file>, then raise max_bytes of the stream LOG",
        )
    if log.lag_ms > LAG_MS:
        yield Finding(
            "projection:lag",
            "critical" if log.lag_ms > LONG_LAG_MS else "warning",
            f"read models are {log.lag_ms / 1000:.1f} s behind",
            f"they are at {log.projected} of {log.last}",
            "titan logs projector",
        )


def _figures(situation: Situation) -> Iterator[Finding]:
    if situation.holds >= ENOUGH_HOLDS and situation.hold_p99_ms > HOLD_BUDGET_MS:
        yield Finding(
            "holds:slow",
            "warning",
            f"p99 of holds is {situation.hold_p99_ms:.0f} ms",
            f"the budget is {HOLD_BUDGET_MS:.0f} ms, over {situation.holds} holds in 10 s",
            "titan doctor",
        )
    if situation.errors:
        yield Finding(
            "requests:errors",
            "warning",
            f"{situation.errors} requests failed in 10 s",
            "they were answered with a status of 500 or above",
            "titan logs api",
        )


def _disk(disk: Disk | None) -> Iterator[Finding]:
    if disk is None or not disk.total:
        return
    free = f"{disk.free / 2**30:.1f} GiB of {disk.total / 2**30:.0f} GiB are free"
    if disk.free < TOO_LITTLE_DISK:
        yield Finding("disk", "critical", "the disk is full", free, "titan doctor")
    elif disk.free < LITTLE_DISK and disk.free < disk.total * SMALL_SHARE:
        yield Finding("disk", "warning", "the disk is nearly full", free, "titan doctor")


def damage(board: State) -> Iterator[Finding]:
    """Yield what the log itself shows to be wrong; the same at every look at the same position."""
    broken = [(s.over_since, i, s) for i, s in board.sales.items() if s.oversold or s.duplicate_units]
    for since, sale_id, sale in sorted(broken, key=lambda each: each[:2])[:MOST_SALES]:
        what = (
            f"{sale.oversold} units oversold"
            if sale.oversold
            else f"{sale.duplicate_units} units given twice"
        )
        yield Finding(
            f"oversold:{sale_id}",
            "critical",
            what,
            f"sale {sale_id}, stock {sale.stock}, held {sale.held}, sold {sale.sold}",
            "titan log verify",
            since,
        )
    if board.missing:
        yield Finding(
            "log:missing",
            "critical",
            f"{board.missing} commits are missing",
            "positions between others are not in the log",
            "titan log verify",
        )
    if board.unknown:
        yield Finding(
            "log:unknown",
            "warning",
            f"{board.unknown} events are not known to this release",
            "a newer one wrote them, or the log is damaged",
            "titan log verify",
        )


def past(board: State) -> list[Alert]:
    """Return what was wrong at the moment that a replay shows: what the log itself tells."""
    alerts = [Alert(f.id, f.severity, f.since or board.at, f.what, f.why, f.mend) for f in damage(board)]
    return sorted(alerts, key=order)
