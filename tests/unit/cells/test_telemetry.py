"""Telemetry: what is counted, what crosses, what is summed, what is shown."""

import asyncio
import math
import re
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.kernel.clock import ManualClock
from cells.telemetry import sample
from cells.telemetry.collect import Collected
from cells.telemetry.instruments import COUNTS, SECONDS, Metrics, bounds_of
from cells.telemetry.publish import Sampler, publishing
from cells.telemetry.sample import BadSample, Distribution, Sample

START = 1_000.2
HTTP = 'titan_http_total{class="2xx"}'


class Bench:
    """A collector whose seconds are told to it."""

    def __init__(self) -> None:
        self.now = START
        self.collected = Collected(lambda: self.now)

    def take(self, told: Sample, after: float = 0.0) -> None:
        self.now += after
        self.collected.take(sample.encode(told))


@pytest.fixture
def bench():
    return Bench()


def told(n: int = 1, process: str = "api", pid: int = 1, since: int = 0, **more: Any) -> Sample:
    """What a process says in its `n`th second."""
    series = {"counters": {}, "gauges": {}, "histograms": {}} | more
    return Sample(process, pid, since, since + n * 1_000, **series, n=n)


def observed(name: str, *values: float) -> dict[str, Distribution]:
    metrics = Metrics()
    for value in values:
        metrics.histogram(name).observe(value)
    return {name: Distribution(metrics.histogram(name).counts, metrics.histogram(name).sum)}


# --- instruments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", (SECONDS, COUNTS[7:]))
def test_bounds_are_close_together(bounds):
    assert all(1 < after / before <= 1.3 for before, after in pairwise(bounds))


def test_small_counts_are_told_apart_and_durations_reach_from_50_us_to_a_minute():
    assert COUNTS[:6] == (1, 2, 3, 4, 5, 6)
    assert (SECONDS[0], SECONDS[-1]) == (0.000_05, 63)


def test_a_series_is_the_same_wherever_it_is_asked_for():
    metrics = Metrics()
    metrics.counter("titan_a_total", 'class="2xx"').add(3)
    metrics.counter("titan_a_total", 'class="2xx"').add()
    metrics.alias("titan_b_total", "", metrics.counter("titan_a_total", 'class="2xx"'))

    taken = sample.take(metrics, "api", 7, 0, 0, 1)

    assert taken.counters == {'titan_a_total{class="2xx"}': 4, "titan_b_total": 4}


def test_a_reading_that_is_unknown_is_not_there():
    metrics = Metrics()
    metrics.gauge("titan_position", lambda: math.nan)
    metrics.gauge("titan_sockets", lambda: 3)

    assert sample.take(metrics, "api", 7, 0, 0, 1).gauges == {"titan_sockets": 3.0}


# --- hostile bytes ---------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_bytes_are_a_sample_or_are_dropped(raw):
    collected = Collected(lambda: START)
    collected.take(raw)

    assert collected.processes() == []
    assert collected.render() == "\n"


HOSTILE = {
    "no key of a series": told(counters={"titan_x\ntitan_y": 1}),
    "a label that ends its line": told(counters={'titan_x{a="\n"}': 1}),
    "a label that ends its quotes": told(counters={'titan_x{a=""b"}': 1}),
    "a key without end": told(counters={"titan_x" * 100: 1}),
    "no number": told(gauges={"titan_x": math.nan}),
    "infinite": told(gauges={"titan_x": math.inf}),
    "too few buckets": told(histograms={"titan_x": Distribution([1], 1.0)}),
    "buckets of another unit": told(histograms={"titan_x_seconds": observed("titan_x", 1)["titan_x"]}),
    "a sum that is none": told(histograms={"titan_x": Distribution([0] * (len(COUNTS) + 1), math.nan)}),
    "negative": told(counters={"titan_x": -1}),
    "a bucket that is negative": told(histograms={"titan_x": Distribution([-1] * (len(COUNTS) + 1), 0.0)}),
    "no name of a process": told(process='a"} 1\n'),
    "no pid": told(pid=-1),
    "too many series": told(counters={f"titan_{i}": 1 for i in range(1_001)}),
}


@pytest.mark.parametrize("why", HOSTILE)
def test_a_sample_that_would_spoil_the_sums_is_dropped(bench, why):
    with pytest.raises(BadSample):
        sample.decode(sample.encode(HOSTILE[why]))
    bench.take(HOSTILE[why])
    bench.take(told(counters={HTTP: 5}))

    assert bench.collected.counter("titan_http_total") == 5
    assert [each.process for each in bench.collected.processes()] == ["api"]


@pytest.mark.parametrize(
    "raw",
    (
        sample.encode({"process": "api", "pid": 1}),
        sample.encode([1, 2]),
        sample.encode(told())[:-1],
        b"\x91" * 100_000,
        bytes(1 << 20),
        sample.encode(msgspec.structs.asdict(told()) | {"counters": {"titan_x": 1 << 63}}),
    ),
)
def test_what_is_no_sample_is_dropped(bench, raw):
    bench.collected.take(raw)

    assert bench.collected.processes() == []


def test_a_sample_of_a_later_release_is_taken(bench):
    bench.collected.take(sample.encode(msgspec.structs.asdict(told(counters={HTTP: 2})) | {"later": 1}))

    assert bench.collected.counter(HTTP) == 2


def test_a_crowd_of_processes_and_of_series_is_turned_away_and_the_known_ones_go_on(bench):
    for pid in range(200):
        bench.take(told(pid=pid, counters={f"titan_{pid}_{i}": 1 for i in range(100)}))
    known = bench.collected.processes()
    bench.take(told(2, pid=known[0].pid, counters=known[0].counters | {"titan_0_1": 5}), 1)

    assert len(known) <= 64
    assert bench.collected.counter("titan_0_1") == 5
    assert len(bench.collected.render().splitlines()) <= 2 * 2_000


# --- sums ------------------------------------------------------------------------------------------------------------


@st.composite
def lives(draw):
    """Runs of a few processes: which samples each tells, in its own order."""
    drawn = []
    for process in ("api", "hub"):
        for pid in range(draw(st.integers(1, 2))):
            for since in range(draw(st.integers(1, 3))):
                counted = draw(st.lists(st.integers(0, 50), min_size=1, max_size=6))
                drawn.append((process, pid, since * 1_000_000, counted))
    return drawn


@given(lives(), st.randoms(use_true_random=False))
def test_sums_are_those_of_the_parts_in_any_order_and_over_restarts(runs, chance):
    samples = []
    for process, pid, since, counted in runs:
        total, values = 0, []
        for n, more in enumerate(counted, 1):
            total += more
            values += [0.001 * (n + 1)] * more
            samples.append(
                told(
                    n,
                    process,
                    pid,
                    since,
                    counters={HTTP: total, f'titan_x_total{{process="{process}"}}': n},
                    histograms=observed("titan_hold_seconds", *values),
                )
            )
    chance.shuffle(samples)
    bench = Bench()
    for each in samples:
        bench.take(each, chance.random())

    everything = sum(sum(counted) for *_, counted in runs)
    assert bench.collected.counter("titan_http_total") == everything
    assert bench.collected.counter("titan_x_total") == sum(len(counted) for *_, counted in runs)
    text = parsed(bench.collected.render())
    assert text[HTTP] == everything
    assert text["titan_hold_seconds_count"] == everything
    assert text['titan_hold_seconds_bucket{le="+Inf"}'] == everything
    expected = sum(0.001 * (n + 1) * more for *_, counted in runs for n, more in enumerate(counted, 1))
    assert text["titan_hold_seconds_sum"] == pytest.approx(expected, abs=1e-5)


@given(st.lists(st.tuples(st.integers(0, 1_000), st.floats(0.1, 3.0)), min_size=2, max_size=30))
def test_no_count_gets_lost_between_the_points(steps):
    bench = Bench()
    total, age = 0, 0.0
    for n, (more, pause) in enumerate(steps, 1):
        total += more
        age += pause
        bench.take(Sample("api", 1, 0, int(age * 1000), {HTTP: total}, {}, {}, n), pause)
    newest = bench.now
    bench.now += 2.6  # late by now, so that nobody waits for it
    points = bench.collected.history(HTTP, 60)

    if newest - START < 50:
        assert sum(points) == pytest.approx(total, rel=0.02, abs=1)
    assert all(point >= 0 for point in points)


def test_a_late_sample_changes_nothing(bench):
    bench.take(told(5, counters={HTTP: 50}))
    bench.take(told(4, counters={HTTP: 40}), 0.1)

    assert bench.collected.counter(HTTP) == 50
    assert bench.collected.processes()[0].n == 5


def test_a_clock_that_was_set_back_stops_no_samples(bench):
    bench.take(told(1, since=3_600_000, counters={HTTP: 10}))
    bench.take(Sample("api", 1, 3_600_000, 5, {HTTP: 20}, {}, {}, 2), 1)

    assert bench.collected.counter(HTTP) == 20


def test_a_process_that_was_started_again_counts_on(bench):
    for n in range(1, 6):
        bench.take(told(n, pid=1, counters={HTTP: n * 100}), 1)
    for n in range(1, 6):
        bench.take(told(n, pid=2, since=5_000, counters={HTTP: n * 10}), 1)

    assert bench.collected.counter(HTTP) == 550
    assert bench.collected.history(HTTP, 4) == pytest.approx([10, 10, 10, 10])


def test_a_count_that_went_down_is_a_new_beginning(bench):
    bench.take(told(1, counters={HTTP: 100}))
    bench.take(told(2, counters={HTTP: 30}, histograms=observed("titan_hold_seconds", 1)), 1)
    bench.take(told(3, counters={HTTP: 40}), 1)

    assert bench.collected.counter(HTTP) == 100 + 30 + 40  # the histogram that is gone was a beginning too
    assert all(point >= 0 for point in bench.collected.history(HTTP))


def test_what_was_counted_before_anybody_listened_is_in_no_second(bench):
    bench.take(told(500, counters={HTTP: 1_000_000}, histograms=observed("titan_hold_seconds", 1, 1)))
    bench.take(told(501, counters={HTTP: 1_000_100}, histograms=observed("titan_hold_seconds", 1, 1, 2)), 1)
    bench.now += 3

    assert bench.collected.counter(HTTP) == 1_000_100
    assert sum(bench.collected.history(HTTP)) == pytest.approx(100)
    assert bench.collected.count("titan_hold_seconds") == 1


def test_lost_samples_are_made_good_by_the_next(bench):
    bench.take(told(1, counters={HTTP: 100}))
    bench.take(told(5, counters={HTTP: 500}), 4)

    assert bench.collected.history(HTTP, 3) == pytest.approx([100, 100, 100])
    assert bench.collected.rate(HTTP) == pytest.approx(100)


def test_a_rate_is_of_all_processes_of_a_role_and_of_all_labels(bench):
    for n in range(1, 5):
        bench.now += 1
        for pid in (1, 2):
            counters = {HTTP: n * 10, 'titan_http_total{class="4xx"}': n}
            bench.take(told(n, pid=pid, counters=counters))

    assert bench.collected.rate(HTTP) == pytest.approx(20)
    assert bench.collected.rate("titan_http_total") == pytest.approx(22)
    assert bench.collected.rate("titan_never_total") == 0
    assert bench.collected.history("titan_http_total", 60)[-1] == pytest.approx(22)
    assert len(bench.collected.history("titan_http_total")) == 60


def test_a_silent_process_is_dropped_and_what_it_counted_is_not(bench):
    bench.take(told(1, "hub", counters={"titan_deliveries_total": 7}, gauges={"titan_sockets": 3.0}))
    bench.take(told(1, "api", gauges={"titan_sockets": 1.0}))
    for n in range(2, 7):
        bench.take(told(n, "api", gauges={"titan_sockets": 1.0}), 1.1)

    assert [each.process for each in bench.collected.processes()] == ["api"]
    assert bench.collected.gauge("titan_sockets") == 1
    assert bench.collected.counter("titan_deliveries_total") == 7
    assert bench.collected.history("titan_sockets", 5)[0] == 4
    bench.take(told(7, "api", gauges={"titan_sockets": 1.0}), 1.1)
    assert bench.collected.history("titan_sockets", 1) == [1]

    bench.take(told(9, "hub", counters={"titan_deliveries_total": 9}), 1)
    assert bench.collected.counter("titan_deliveries_total") == 9


def test_positions_are_not_added_up(bench):
    for pid in (1, 2):
        bench.take(told(pid=pid, process="projector", gauges={"titan_projection_position": 1_234_567.0}))

    assert "titan_projection_position 1234567\n" in bench.collected.render()


def test_the_share_of_a_core(bench):
    key = 'titan_process_cpu_seconds_total{process="api"}'
    bench.take(told(1, gauges={key: 3.0}))
    bench.take(told(2, gauges={key: 3.5}), 1)
    bench.take(told(3, gauges={key: 3.5}), 0.01)

    assert bench.collected.cpu("api", 1) == pytest.approx(0.5)
    assert bench.collected.cpu("api", 2) == 0


# --- percentiles -----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.floats(0.000_1, 60), min_size=1, max_size=300),
    st.sampled_from((0.5, 0.9, 0.99, 0.999)),
    st.integers(1, 3),
)
def test_a_percentile_is_right_to_one_bucket(values, q, processes):
    bench = Bench()
    for pid in range(processes):
        share = values[pid::processes]
        bench.take(told(pid=pid, histograms=observed("titan_hold_seconds")))
        bench.take(told(2, pid=pid, histograms=observed("titan_hold_seconds", *share)), 1)

    found = bench.collected.percentile("titan_hold_seconds", q)

    true = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    assert found is not None
    assert true / 1.28001 <= found <= true * 1.28001
    assert bench.collected.count("titan_hold_seconds") == len(values)


def test_a_percentile_is_of_the_last_seconds_only(bench):
    slow, fast = [1.0] * 100, [0.001] * 10
    bench.take(told(1))
    bench.take(told(2, histograms=observed("titan_hold_seconds", *slow)), 1)
    bench.take(told(20, histograms=observed("titan_hold_seconds", *slow, *fast)), 18)

    assert bench.collected.percentile("titan_hold_seconds", 0.99) == pytest.approx(0.001, rel=0.28)
    assert bench.collected.percentile("titan_hold_seconds", 0.99, 60) == pytest.approx(1, rel=0.28)
    bench.now += 11
    assert bench.collected.percentile("titan_hold_seconds", 0.99) is None


def test_what_is_above_all_bounds_counts_as_the_last(bench):
    bench.take(told(1))
    bench.take(told(2, histograms=observed("titan_hold_seconds", 1e9)), 1)

    assert bench.collected.percentile("titan_hold_seconds", 0.5) == SECONDS[-1]


# --- Prometheus text -------------------------------------------------------------------------------------------------

LINE = re.compile(r'([a-z_][a-z0-9_]*)(\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})? ([0-9.e+-]+)')


def parsed(text: str) -> dict[str, float]:
    """Read Prometheus text, or fail."""
    assert text.endswith("\n")
    found: dict[str, float] = {}
    typed: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert name not in typed
            assert kind in {"counter", "gauge", "histogram"}
            typed[name] = kind
        elif line:
            parts = LINE.fullmatch(line)
            assert parts is not None, line
            stem = re.sub("_(bucket|sum|count)$", "", parts[1])
            assert parts[1] in typed or typed[stem] == "histogram"
            key = parts[1] + (parts[2] or "")
            assert key not in found
            found[key] = float(parts[3])
    return found


keys = st.from_regex(
    r'titan_[a-c](_seconds|_total)?(\{class="[0-9]xx"(,code="[a-z .:/-]{0,5}")?\})?', fullmatch=True
)
counts = st.integers(0, 1 << 62)


@given(
    st.dictionaries(keys, counts, max_size=6),
    st.dictionaries(keys, st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=6),
    st.sets(keys, max_size=4),
)
def test_whatever_is_taken_is_shown_as_well_formed_text(counters, gauges, histograms):
    shown = {key: Distribution([1] * (len(bounds_of(key.partition("{")[0])) + 1), 1.5) for key in histograms}
    bench = Bench()
    bench.take(told(counters=counters, gauges=gauges, histograms=shown))
    bench.take(told(process="hub", counters=counters))

    found = parsed(bench.collected.render())

    for key, value in counters.items():
        assert found[key] == float(2 * value)


def test_text_as_prometheus_wants_it(bench):
    bench.take(
        told(
            counters={HTTP: 3},
            gauges={"titan_b": 1.5, "titan_bytes": 12_345_678_901.0},
            histograms=observed("titan_c_seconds", 0.004),
        )
    )

    text = bench.collected.render()

    assert '# TYPE titan_http_total counter\ntitan_http_total{class="2xx"} 3\n' in text
    assert "titan_b 1.5\n" in text
    assert "titan_bytes 12345678901\n" in text
    assert 'titan_c_seconds_bucket{le="0.00005"} 0\n' in text
    assert 'titan_c_seconds_bucket{le="0.00315"} 0\n' in text
    assert 'titan_c_seconds_bucket{le="0.004"} 1\n' in text
    assert 'titan_c_seconds_bucket{le="1"} 1\n' in text
    assert 'titan_c_seconds_bucket{le="+Inf"} 1\n' in text
    assert text.endswith("titan_c_seconds_sum 0.004000\ntitan_c_seconds_count 1\n")


# --- publishing ------------------------------------------------------------------------------------------------------


class Bus:
    """A bus in memory that can be down."""

    def __init__(self) -> None:
        self.down = False
        self.heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.failed: asyncio.Queue[None] = asyncio.Queue()

    async def publish(self, subject: str, raw: bytes) -> None:
        if self.down:
            self.failed.put_nowait(None)
            raise ConnectionError
        self.heard.put_nowait((subject, raw))


async def test_a_process_tells_of_itself_until_it_ends(monkeypatch):
    monkeypatch.setattr("cells.telemetry.publish.EVERY_SECONDS", 0.01)
    bus, metrics, clock = Bus(), Metrics(), ManualClock()
    metrics.counter("titan_http_total", 'class="2xx"').add(5)

    async with asyncio.timeout(5), publishing(metrics, bus, "c1", "api", clock):  # type: ignore[arg-type]  # a fake
        subject, raw = await bus.heard.get()
        first = sample.decode(raw)
        bus.down = True
        await bus.failed.get()
        await bus.failed.get()
        bus.down = False
        while not bus.heard.empty():
            bus.heard.get_nowait()
        _, raw = await bus.heard.get()
        later = sample.decode(raw)

    assert subject == "cell.c1.telemetry.api"
    assert first.counters == {HTTP: 5}
    assert first.gauges['titan_process_rss_bytes{process="api"}'] > 1e6
    assert first.gauges['titan_process_cpu_seconds_total{process="api"}'] > 0
    assert later.n > first.n
    assert later.life == first.life


async def test_a_reading_that_fails_is_reported_and_ends_nothing(monkeypatch):
    monkeypatch.setattr("cells.telemetry.publish.EVERY_SECONDS", 0.01)
    bus, metrics = Bus(), Metrics()
    failing = [True]

    def read() -> float:
        if failing[0]:
            failing[0] = False
            raise ValueError
        return 1.0

    metrics.gauge("titan_x", read)
    async with asyncio.timeout(5), publishing(metrics, bus, "c1", "api", ManualClock()):  # type: ignore[arg-type]  # a fake
        _, raw = await bus.heard.get()

    assert sample.decode(raw).gauges["titan_x"] == 1


def test_a_sampler_numbers_its_samples():
    sampler = Sampler(Metrics(), "api", ManualClock(5))

    assert [sampler.sample().n, sampler.sample().n] == [1, 2]
    assert sampler.sample().since == 5
