"""The whole picture of a cell in one struct, small enough to be sent every second. PURE."""

from collections.abc import Sequence
from typing import Final

import msgspec

from cells.log.port import Stored
from cells.supervisor.status import CellStatus
from server.ops import alerts, rows, words
from server.ops.alerts import ENGINES, READY
from server.ops.lines import inert, lines_of, shortened
from server.ops.reading import Registries
from server.ops.state import State

MAX_BYTES: Final = 64 << 10
MAX_SALES: Final = 100
MAX_LINES: Final = 20
MAX_PROCESSES: Final = 80
MAX_TEXT: Final = 120
"""Characters of a title, a reason or a detail in a frame."""

_encode = msgspec.json.Encoder().encode


class Measured(msgspec.Struct, frozen=True):
    """What running processes say of themselves. `cpu` is by pid."""

    series: list[words.Series] = []
    latencies: list[words.Latency] = []
    cpu: dict[int, float] = {}
    sockets: int = 0


class Live(msgspec.Struct, frozen=True):
    """What of the present is not in the board."""

    cell: str
    slots: list[tuple[int, int]]
    at: int
    log: words.LogState
    status: CellStatus | None
    measured: Measured
    alerts: list[words.Alert]


def live(registries: Registries, board: State, now: Live) -> words.Frame:
    """Return the picture of the present. It catches up while the log goes on beyond the board."""
    return _frame(
        registries,
        board,
        cell=now.cell,
        slots=now.slots,
        at=now.at,
        log=now.log,
        alerts=now.alerts,
        sockets=now.measured.sockets,
        series=now.measured.series,
        latencies=now.measured.latencies,
        processes=process_rows(now.status, now.measured.cpu),
        behind=now.log.last > board.position + _AHEAD,
    )


_AHEAD: Final = 2_000
"""Commits that a board may be behind the log in the midst of a rush without calling it catching up."""


def replayed(registries: Registries, board: State, now: Live, at: int, target: int) -> words.Frame:
    """Return the picture as of `target`, or as far as the board has come on its way there."""
    silent = [words.Series(name, rows.UNITS[name], 0.0, []) for name in words.TELEMETRY_SERIES]
    return _frame(
        registries,
        board,
        mode="replay",
        cell=now.cell,
        slots=now.slots,
        at=at if board.position >= target else board.at,
        log=msgspec.structs.replace(now.log, projected=0, lag_ms=0.0),
        alerts=alerts.past(board),
        sockets=0,
        series=silent,
        latencies=[],
        processes=[],
        behind=board.position < target,
        target=target,
    )


def _frame(
    registries: Registries,
    board: State,
    *,
    cell: str,
    slots: list[tuple[int, int]],
    at: int,
    log: words.LogState,
    alerts: list[words.Alert],
    sockets: int,
    series: list[words.Series],
    latencies: list[words.Latency],
    processes: list[words.ProcessRow],
    behind: bool,
    mode: words.Mode = "live",
    target: int | None = None,
) -> words.Frame:
    chosen = rows.first_sales(board, MAX_SALES)
    totals = rows.totals(board, sockets)
    return words.Frame(
        cell=cell,
        mode=mode,
        at=at,
        position=board.position,
        target=target,
        catching_up=behind,
        first=log.first,
        last=log.last,
        slots=slots,
        log=log,
        totals=totals,
        series=[*rows.log_series(board, at), *series],
        latencies=latencies,
        processes=processes[:MAX_PROCESSES],
        alerts=[brief_alert(alert) for alert in alerts],
        sales=[brief_sale(rows.sale_row(sale_id, sale, at)) for sale_id, sale in chosen],
        more_sales=totals.sales - len(chosen),
        lines=newest_lines(registries, board, MAX_LINES),
    )


# --- parts ---------------------------------------------------------------------------------------------------------


def brief(text: str) -> str:
    """Return a text that fits into a frame."""
    return shortened(text, MAX_TEXT)


def brief_sale(sale: words.SaleRow) -> words.SaleRow:
    """Return a sale with short texts."""
    return msgspec.structs.replace(
        sale,
        merchant_id=brief(sale.merchant_id),
        product_id=brief(sale.product_id),
        title=brief(sale.title),
        moved_by=brief(sale.moved_by),
        reason=brief(sale.reason),
    )


def brief_alert(alert: words.Alert) -> words.Alert:
    """Return an alert with short texts."""
    return msgspec.structs.replace(alert, id=brief(alert.id), what=brief(alert.what), why=brief(alert.why))


def process_rows(status: CellStatus | None, cpu: dict[int, float]) -> list[words.ProcessRow]:
    """Return the processes in the order of the supervisor, whose measure of `cpu` stands for those that say none."""
    if status is None:
        return []
    return [
        words.ProcessRow(
            alerts.label(key),
            "engine" if process.name in ENGINES else "role",
            process.state,
            brief(inert(process.detail)),
            process.pid,
            process.restarts,
            process.rss,
            round(cpu.get(process.pid, process.cpu), 4),
        )
        for key, process in alerts.numbered(status.processes)
    ]


def newest_lines(registries: Registries, board: State, count: int) -> list[words.Line]:
    """Return the newest events in short, in the order of the log."""
    found: list[words.Line] = []
    for kept in reversed(board.newest):
        if len(found) >= count:
            break
        stored = Stored(kept.position, kept.subject, kept.body)
        found = lines_of(registries, stored)[-count:] + found
    return found[-count:]


def cell_row(frame: words.Frame, status: CellStatus | None, api: str, realtime: str) -> words.CellRow:
    """Return the picture of a cell in one line."""
    now = {series.name: series.now for series in frame.series}
    slow = {latency.name: latency.p99_ms for latency in frame.latencies}
    return words.CellRow(
        id=frame.cell,
        state=status.state if status else "unknown",
        reason=status.reason if status else "the supervisor does not answer",
        slots=frame.slots,
        api=api,
        realtime=realtime,
        position=frame.position,
        open_sales=frame.totals.open,
        orders_per_s=now.get("orders", 0.0),
        holds_per_s=now.get("holds", 0.0),
        p99_ms=slow.get("hold", 0.0),
        sockets=frame.totals.sockets,
        lag_ms=frame.log.lag_ms,
        restarts=sum(process.restarts for process in frame.processes),
        down=sum(process.state not in READY for process in frame.processes),
        alerts=len(frame.alerts),
    )


# --- bytes ---------------------------------------------------------------------------------------------------------


def encoded(frame: words.Frame) -> bytes:
    """Return a frame as JSON of at most 64 KiB: sales that do not fit count as `more_sales`, then lines go."""
    raw = _encode(frame)
    while len(raw) > MAX_BYTES and (frame.sales or frame.lines or frame.alerts or frame.processes):
        frame = _smaller(frame, len(raw) - MAX_BYTES)
        raw = _encode(frame)
    return raw


def _smaller(frame: words.Frame, surplus: int) -> words.Frame:
    if frame.sales:
        keep = _fitting(frame.sales, surplus)
        return msgspec.structs.replace(
            frame, sales=frame.sales[:keep], more_sales=frame.more_sales + len(frame.sales) - keep
        )
    if frame.lines:
        return msgspec.structs.replace(frame, lines=frame.lines[1:])
    if frame.alerts:
        return msgspec.structs.replace(frame, alerts=frame.alerts[:-1])
    return msgspec.structs.replace(frame, processes=frame.processes[:-1])


def _fitting(sales: Sequence[words.SaleRow], surplus: int) -> int:
    """Return how many sales are left when the last ones have given up so many bytes."""
    keep = len(sales)
    while keep and surplus > 0:
        keep -= 1
        surplus -= len(_encode(sales[keep])) + 1
    return keep
