"""Frames: what is in them, live and replayed, and that they stay small."""

import json

import msgspec
import pytest

from cells.supervisor.status import CellStatus, ProcessStatus
from server.ops import frame, words
from server.ops.frame import Live, Measured
from tests.unit.server.ops.written import REGISTRIES, SALE, T0, Written, confirmed, drafted, held, moved, said

LOG = words.LogState(1, 9, "e1", 9, "always", "sound", 8, 12.5)
STATUS = CellStatus(
    "c1",
    "degraded",
    ((0, 4095),),
    "http://a",
    "ws://a",
    [
        ProcessStatus("nats", 11, "running", 0, 100, cpu=0.5),
        ProcessStatus("api", 12, "running", 2, 200, cpu=0.75),
        ProcessStatus("api", 13, "restarting", 3, 0, "killed by\x1b SIGKILL"),
    ],
    "api is away",
)
SERIES = [words.Series(name, "1/s", 5.0, [5.0] * 60) for name in words.TELEMETRY_SERIES]


def live(**changes) -> Live:
    measured = Measured(SERIES, [words.Latency("hold", 9, 1.0, 2.5, 3.0)], {12: 0.25}, 7)
    shown = Live("c1", [(0, 4095)], T0 + 1_000, LOG, STATUS, measured, [])
    return msgspec.structs.replace(shown, **changes)


def shop() -> Written:
    written = Written().opened().sale(held("h1", 1, 2), held("h2", 3)).sale(confirmed("h1")).room(said("m1"))
    return written.opened("sal_2", stock=5).sale(moved("killed"), key="sal_2")


def test_a_live_frame_has_all_there_is():
    shown = frame.live(REGISTRIES, shop().board().state, live())

    assert (shown.cell, shown.mode, shown.target, shown.catching_up) == ("c1", "live", None, False)
    assert (shown.at, shown.position, shown.first, shown.last) == (T0 + 1_000, 8, 1, 9)
    assert [series.name for series in shown.series] == [*words.LOG_SERIES, *words.TELEMETRY_SERIES]
    assert [(p.name, p.kind, p.state, p.cpu) for p in shown.processes] == [
        ("nats", "engine", "running", 0.5),
        ("api", "role", "running", 0.25),
        ("api-2", "role", "restarting", 0.0),
    ]
    assert shown.processes[2].detail == "killed by SIGKILL"
    assert [sale.id for sale in shown.sales] == [SALE, "sal_2"]
    assert (shown.totals.sales, shown.totals.open, shown.totals.killed) == (2, 1, 1)
    assert (shown.totals.sockets, shown.totals.messages, shown.totals.rooms) == (7, 1, 1)
    assert [line.text for line in shown.lines][-1] == "sale is killed"


def test_totals_are_the_sums_of_the_sales():
    shown = frame.live(REGISTRIES, shop().board().state, live())

    for name in ("stock", "available", "held", "sold", "oversold", "duplicate_units", "orders", "holds"):
        assert getattr(shown.totals, name) == sum(getattr(sale, name) for sale in shown.sales), name


def test_a_replayed_frame_has_what_the_log_alone_tells():
    board = shop().board().state
    shown = frame.replayed(REGISTRIES, board, live(), T0 + 500, 8)

    assert (shown.mode, shown.target, shown.position, shown.catching_up) == ("replay", 8, 8, False)
    assert (shown.at, shown.totals.sockets) == (T0 + 500, 0)
    assert (shown.processes, shown.latencies, shown.alerts) == ([], [], [])
    assert [series.history for series in shown.series[-4:]] == [[], [], [], []]
    assert (shown.log.last, shown.log.projected, shown.log.lag_ms) == (9, 0, 0.0)


def test_a_replay_on_its_way_says_so_and_shows_the_time_it_is_at():
    shown = frame.replayed(REGISTRIES, shop().board().state, live(), T0 + 99_000, 800)

    assert (shown.catching_up, shown.position, shown.target, shown.at) == (True, 8, 800, T0)


def test_an_observer_that_still_reads_the_log_says_so():
    far = msgspec.structs.replace(LOG, last=1_000_000)

    assert frame.live(REGISTRIES, shop().board().state, live(log=far)).catching_up


def test_a_cell_in_one_line():
    shown = frame.live(REGISTRIES, shop().board().state, live())
    row = frame.cell_row(shown, STATUS, "http://a", "ws://a")

    assert (row.id, row.state, row.reason, row.api) == ("c1", "degraded", "api is away", "http://a")
    assert (row.open_sales, row.p99_ms, row.sockets, row.lag_ms) == (1, 2.5, 7, 12.5)
    assert (row.restarts, row.down, row.alerts) == (5, 1, 0)
    assert (row.holds_per_s, row.orders_per_s) == (2, 1)
    assert frame.cell_row(shown, None, "", "").state == "unknown"


def test_the_newest_lines_are_those_of_the_newest_events():
    written = Written().opened(stock=5_000)
    for number in range(1, 40):
        written.sale(held(f"h{number}", number), held(f"g{number}", 1_000 + number))
    shown = frame.newest_lines(REGISTRIES, written.board().state, 5)

    assert [(line.position, line.index) for line in shown] == [(39, 1), (40, 0), (40, 1), (41, 0), (41, 1)]


@pytest.mark.parametrize("text", ("x" * 5_000, "\U0001f600" * 5_000, "\x00\x1f" * 2_500, '"\\' * 2_500))
def test_a_frame_is_never_larger_than_64_kib(text):
    written = Written(first=10**12)
    for number in range(120):
        key = f"sal_{number:029}"
        written.sale(drafted(key, 1_000_000, text), key=key).sale(moved("open", "usr_" + text, text), key=key)
        for second in range(60):
            written.at = T0 + second * 1_000
            written.sale(held(f"h{number}-{second}", *range(1, 9), at=written.at), key=key)
    alerts = [words.Alert(f"a{n}{text}", "critical", T0, text, text, "titan") for n in range(30)]
    processes = [ProcessStatus("api", n, "crash-loop", n, 2**40, text) for n in range(200)]
    status = CellStatus("c1", "degraded", ((0, 4095),), "a", "b", processes)
    shown = frame.live(REGISTRIES, written.board().state, live(at=T0 + 60_000, alerts=alerts, status=status))
    raw = frame.encoded(shown)
    decoded = json.loads(raw)

    assert len(raw) <= frame.MAX_BYTES
    assert decoded["more_sales"] + len(decoded["sales"]) == 120
    assert len(decoded["series"]) == 10


def test_a_hundred_ordinary_sales_fit_for_the_most_part():
    written = Written()
    for number in range(100):
        key = f"sal_00a06B2RK7D9TVQ4X5Y0Z8N{number:06}"
        written.opened(key, 1_000).sale(held(f"h{number}", 1), key=key)
    raw = frame.encoded(frame.live(REGISTRIES, written.board().state, live()))

    assert len(json.loads(raw)["sales"]) >= 60
