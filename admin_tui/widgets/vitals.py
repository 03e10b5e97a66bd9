"""How a cell is, in a few facts: its latencies, its processes, its log."""

from textual.content import Content

from admin_tui.picture import CellPicture
from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.drawn import Fact, row
from admin_tui.widgets.figures import BAD, DIM, GOOD, WARN
from admin_tui.wire import Frame, Latency, LogState, ProcessRow

RUNNING = frozenset({"running", "standby", "external"})
STATES = {"ok": GOOD, "waiting": DIM, "degraded": WARN, "catching up": WARN}


def cell_state(cell: CellPicture) -> Content:
    """Return the state of a cell, with its sign."""
    style = STATES.get(cell.state, BAD)
    return Content.styled(f"{'●' if cell.state == 'ok' else '▲'} {cell.state}", style)


def process_state(process: ProcessRow) -> Content:
    """Return the state of a process, with its sign."""
    if process.state in RUNNING:
        return Content.assemble(("● ", GOOD if process.state != "standby" else DIM), inert(process.state, 12))
    return Content.styled(f"▲ {inert(process.state, 12)}", BAD)


def vitals(cell: CellPicture) -> list[Fact]:
    """Return the facts that tell whether a cell is well."""
    frame = cell.frame
    if frame is None:
        return [Fact("state", cell_state(cell)), Fact("why", inert(cell.why, 60) or "no frame yet")]
    position = Fact("log at", Content.styled(f"{frame.position:,}", "bold"))
    return [
        Fact("state", cell_state(cell)),
        *_latencies(frame),
        *_processes(frame),
        position,
        *log_facts(frame),
    ]


def _latencies(frame: Frame) -> list[Fact]:
    return [Fact(each.name, percentiles(each)) for each in frame.latencies]


def percentiles(latency: Latency) -> Content:
    """Return p50 and p99 of a latency, aligned."""
    p50, p99 = figures.duration(latency.p50_ms), figures.duration(latency.p99_ms)
    number = p50.number if p50.unit == p99.unit else str(p50)
    return Content.assemble(("p50 ", DIM), (f"{number:>3}", "bold"), ("  p99 ", DIM), p99.content())


def _processes(frame: Frame) -> list[Fact]:
    if not frame.processes:
        return []
    away = [each for each in frame.processes if each.state not in RUNNING]
    restarts = sum(each.restarts for each in frame.processes)
    memory = figures.size(sum(each.rss for each in frame.processes))
    parts = [
        Content.assemble(
            (f"{len(frame.processes) - len(away)}", "bold"), (f" of {len(frame.processes)} run", DIM)
        ),
        Content.styled(f"{restarts:,} restarts", WARN if restarts else DIM),
    ]
    found = [Fact("run", row(parts, " · ")), Fact("memory", memory.content())]
    return [
        *found,
        *(Fact("away", Content.styled(inert(f"{each.name} {each.detail}", 40), BAD)) for each in away),
    ]


def log_facts(frame: Frame) -> list[Fact]:
    """Return what there is to know of the log."""
    log = frame.log
    return [
        # How far the projections were is not in the log.
        *([_lag(log)] if frame.mode == "live" else ()),
        Fact(
            "log",
            Content.assemble(
                (inert(log.state, 12) or "-", BAD if log.state in {"fenced", "away"} else GOOD),
                (f" · fsync {inert(log.fsync, 10) or '-'}", DIM),
            ),
        ),
    ]


def _lag(log: LogState) -> Fact:
    behind = max(0, log.last - log.projected)
    late = log.lag_ms >= 1000
    return Fact(
        "lag",
        Content.assemble(
            (f"{behind:,} behind", WARN if late else ""),
            (" · ", DIM),
            figures.duration(log.lag_ms).content(""),
        ),
    )
