"""Telemetry in the words of operators."""

import pytest

from cells.settings import HOME
from cells.telemetry.collect import Collected
from cells.telemetry.instruments import Metrics
from cells.telemetry.publish import Sampler
from cells.telemetry.sample import Distribution, Sample
from server.ops import measures, words
from tests.unit.server.ops.written import T0


class Seconds:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A process that tells what it counted, second by second."""

    def __init__(self, process: str, pid: int = 1) -> None:
        self.seconds = Seconds()
        self.collected = Collected(self.seconds)
        self.metrics = Metrics()
        self._process, self._pid, self._n = process, pid, 0
        self.tell()

    def tell(self) -> None:
        """A second later, what was counted until then."""
        self.seconds.now += 1.0
        self._n += 1
        at = T0 + self._n * 1_000
        self.collected.add(
            Sample(
                self._process,
                self._pid,
                T0,
                at,
                {key: counter.value for key, counter in self.metrics.counters.items()},
                {key: read() for key, read in self.metrics.gauges.items()},
                {key: _distribution(each) for key, each in self.metrics.histograms.items()},
                self._n,
            )
        )


def _distribution(histogram):
    return Distribution(list(histogram.counts), histogram.sum)


def series(told: Told) -> dict[str, words.Series]:
    return {each.name: each for each in measures.measured(told.collected).series}


def test_a_cell_of_which_nothing_was_heard_shows_zeros():
    found = measures.measured(Collected(Seconds()))

    assert [each.name for each in found.series] == list(words.TELEMETRY_SERIES)
    assert {len(each.history) for each in found.series} == {words.HISTORY}
    assert {each.now for each in found.series} == {0.0}
    assert [each.name for each in found.latencies] == ["hold", "http", "gate", "append"]
    assert {each.count for each in found.latencies} == {0}
    assert (found.sockets, found.cpu) == (0, {})


def test_requests_and_refusals_are_counted_over_all_their_kinds():
    told = Told("api")
    told.metrics.counter("titan_http_total", 'class="2xx"').add(30)
    told.metrics.counter("titan_http_total", 'class="5xx"').add(10)
    for outcome, count in (("granted", 9), ("sold_out", 5), ("other", 1)):
        told.metrics.counter("titan_holds_total", f'outcome="{outcome}"').add(count)
    told.tell()
    told.tell()
    shown = series(told)

    assert sum(shown["requests"].history) == pytest.approx(40)
    assert sum(shown["refusals"].history) == pytest.approx(6)
    assert measures.errors(told.collected) == 10


def test_sockets_are_a_level():
    told = Told("hub")
    told.metrics.gauge("titan_sockets", lambda: 41.0)
    told.tell()
    told.tell()

    assert series(told)["sockets"].now == 41
    assert measures.measured(told.collected).sockets == 41


def test_latencies_are_those_of_the_last_ten_seconds():
    told = Told("api")
    for _ in range(98):
        told.metrics.histogram("titan_hold_seconds").observe(0.004)
    for _ in range(2):
        told.metrics.histogram("titan_hold_seconds").observe(0.5)
    told.tell()
    hold = measures.measured(told.collected).latencies[0]

    assert (hold.name, hold.count) == ("hold", 100)
    assert 3 <= hold.p50_ms <= 4.1
    assert 400 <= hold.p99_ms <= 640
    told.seconds.now += 11
    assert measures.measured(told.collected).latencies[0].count == 0


def test_what_a_process_takes_of_a_processor_is_by_its_pid():
    told = Told("api", pid=77)
    spent = iter((1.0, 1.5, 1.5))
    told.metrics.gauge("titan_process_cpu_seconds_total", lambda: next(spent), 'process="api"')
    told.tell()
    told.tell()

    assert measures.measured(told.collected).cpu == {77: pytest.approx(0.5)}


def test_how_far_the_read_models_are():
    told = Told("projector")
    told.metrics.gauge("titan_projection_position", lambda: 1_234_567.0)
    told.metrics.gauge("titan_projection_lag_seconds", lambda: 1.5)
    told.tell()

    assert measures.projected(told.collected) == 1_234_567
    assert measures.lag_ms(told.collected) == 1_500


def test_the_series_that_are_read_are_those_that_processes_publish():
    """Names are agreed on in documents; one that is misspelt here would show zeros for ever."""
    documented = (
        measures.LATENCIES.values(),
        ("titan_sockets", "titan_deliveries_total", "titan_http_total"),
    )

    text = (HOME / "docs" / "operations.md").read_text(encoding="utf-8")
    for name in (*documented[0], *documented[1], "titan_projection_lag_seconds", "titan_projection_position"):
        assert f"`{name}" in text, name


def test_a_sampler_names_its_processor_time_as_it_is_read_here():
    metrics = Metrics()
    Sampler(metrics, "observer", _Still())

    assert 'titan_process_cpu_seconds_total{process="observer"}' in metrics.gauges


class _Still:
    def now(self) -> int:
        return T0
