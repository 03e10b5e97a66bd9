"""Samples of many processes, summed. PURE: the time is an argument, in seconds that only go forward.

Totals are of every run of a process that was heard of: a restart takes nothing away. Rates and distributions of
late are what one sample has more than the one before it, so a lost sample costs precision and nothing else.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from cells.telemetry.instruments import bounds_of, name_of
from cells.telemetry.points import POINTS, Points
from cells.telemetry.sample import Distribution, Sample

SILENT_SECONDS: Final = 5.0
LATE_SECONDS: Final = 2.5
# Two clocks do not run alike.
TOLERANCE_SECONDS: Final = 0.5
# Full policy: the run that was silent longest is summed up and forgotten; while all of them are heard of, no other
# one is taken.
MAX_RUNS: Final = 64
# Full policy: a sample with further series is not taken.
MAX_KEYS: Final = 2_000

# A sum of positions says nothing; where an old run is still counted beside the new one, neither does one of lags.
_HIGHEST: Final = frozenset({"titan_projection_position", "titan_projection_lag_seconds"})
_CPU: Final = "titan_process_cpu_seconds_total"


class _Run(msgspec.Struct):
    sample: Sample
    heard: float
    cpu: float = 0.0


class _Grown(msgspec.Struct, frozen=True):
    """What a histogram got in one sample, by index of the bucket."""

    at: float
    counts: dict[int, int]


class Sums:
    """Totals, rates and distributions over the processes of a cell."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._runs: dict[tuple[str, int, int], _Run] = {}
        self._past_counters: dict[str, int] = {}
        self._past_histograms: dict[str, Distribution] = {}
        self._points: dict[str, Points] = {}
        self._levels: dict[str, Points] = {}
        self._grown: dict[str, deque[_Grown]] = {}

    # --- samples ---------------------------------------------------------------------------------------------

    def take(self, sample: Sample, now: float) -> bool:
        """Count a sample; False when it was not: older than one that was, or there is no room for it."""
        run = self._runs.get(sample.life)
        if run is not None and sample.n < run.sample.n:
            return False
        if not self._room(sample, now):
            return False
        if run is not None and _went_back(run.sample, sample):
            self._forget(run)
            run = None
        if run is None:
            self._begin(sample, now)
        else:
            self._grow(run.sample, sample, run.heard, now)
            run.cpu = _share(run, sample, now)
            run.sample, run.heard = sample, now
        self._level(now)
        return True

    def _room(self, sample: Sample, now: float) -> bool:
        kinds = (
            (sample.counters, self._points),
            (sample.gauges, self._levels),
            (sample.histograms, self._grown),
        )
        fresh = sum(key not in known for keys, known in kinds for key in keys)
        if fresh and fresh + len(self._points) + len(self._levels) + len(self._grown) > MAX_KEYS:
            return False
        if sample.life in self._runs or len(self._runs) < MAX_RUNS:
            return True
        silent = min(self._runs.values(), key=lambda run: run.heard)
        if now - silent.heard <= SILENT_SECONDS:
            return False
        self._forget(silent)
        return True

    def _begin(self, sample: Sample, now: float) -> None:
        """Take on a run. What it counted before anybody listened belongs to the totals and to no second."""
        age = (sample.at - sample.since) / 1000
        heard_of_from_the_start = 0 <= age <= now - self._started + TOLERANCE_SECONDS
        before = _EMPTY if heard_of_from_the_start else sample
        self._grow(before, sample, now - age, now)
        self._runs[sample.life] = _Run(sample, now)

    def _grow(self, before: Sample, after: Sample, since: float, now: float) -> None:
        for key, value in after.counters.items():
            points = self._points.get(key) or self._points.setdefault(key, Points())
            more = value - before.counters.get(key, 0)
            if more:
                points.spread(more, since, now)
        for key, histogram in after.histograms.items():
            grown = self._grown.setdefault(key, deque())
            while grown and grown[0].at <= now - POINTS:
                grown.popleft()
            old = before.histograms.get(key)
            counts = (
                histogram.counts
                if old is None
                else [b - a for a, b in zip(old.counts, histogram.counts, strict=True)]
            )
            if any(counts):
                grown.append(_Grown(now, {i: count for i, count in enumerate(counts) if count}))

    def _level(self, now: float) -> None:
        for run in self._runs.values():
            for key in run.sample.gauges:
                self._levels.setdefault(key, Points())
        for key, points in self._levels.items():
            points.put(self._gauge(key, now) or 0.0, now)

    def _forget(self, run: _Run) -> None:
        """Keep of a run what it counted, and nothing else."""
        self._runs.pop(run.sample.life, None)
        for key, value in run.sample.counters.items():
            self._past_counters[key] = self._past_counters.get(key, 0) + value
        for key, histogram in run.sample.histograms.items():
            self._past_histograms[key] = _plus(self._past_histograms.get(key), histogram)

    # --- what is asked ---------------------------------------------------------------------------------------

    def processes(self, now: float) -> list[Sample]:
        """Return the newest sample of every process heard of in the last 5 s, by name and pid."""
        live = [run.sample for run in self._live(now)]
        return sorted(live, key=lambda sample: (sample.process, sample.pid, sample.n))

    def cpu(self, process: str, pid: int, now: float) -> float:
        """Return the share of one core that a process took between its last two samples."""
        found = [r for r in self._live(now) if (r.sample.process, r.sample.pid) == (process, pid)]
        return max(found, key=lambda run: run.heard).cpu if found else 0.0

    def counter(self, key: str) -> int:
        """Return the total of one series, or of all series of a name."""
        return sum(self._total(each) for each in _matching(self._points, key))

    def gauge(self, key: str, now: float) -> float:
        """Return the sum of the readings of one series, or of all series of a name; 0 where there is none."""
        return sum(self._gauge(each, now) or 0.0 for each in _matching(self._levels, key))

    def distribution(self, key: str) -> Distribution:
        """Return all that a histogram counted."""
        total = self._past_histograms.get(key)
        for run in self._runs.values():
            if (histogram := run.sample.histograms.get(key)) is not None:
                total = _plus(total, histogram)
        return total or Distribution([0] * (len(bounds_of(name_of(key))) + 1), 0.0)

    def history(self, key: str, n: int, now: float) -> list[float]:
        """Return `n` one-second points, oldest first: what was counted in each second, or a gauge's readings.

        The newest is of the last second that every process has told of, which is over for one to two seconds.
        """
        last = self._last_whole(now)
        found = [self._points[each] for each in _matching(self._points, key)]
        if found:
            return [sum(points.at(second) for points in found) for second in range(last - n + 1, last + 1)]
        levels = [self._levels[each] for each in _matching(self._levels, key)]
        return [sum(points.newest(second) for points in levels) for second in range(last - n + 1, last + 1)]

    def percentile(self, key: str, q: float, window: float, now: float) -> float | None:
        """Return a value that is in the same bucket as the quantile `q` of the last `window` seconds' observations.

        None when there were none. Beyond the last bound: that bound.
        """
        counts = self.recent(key, window, now)
        total = sum(counts)
        if not total:
            return None
        rank, below = max(1, math.ceil(q * total)), 0
        bounds = bounds_of(name_of(key))
        for index, count in enumerate(counts[:-1]):
            if below + count >= rank:
                low = bounds[index - 1] if index else 0.0
                return low + (bounds[index] - low) * (rank - below) / count
            below += count
        return bounds[-1]

    def recent(self, key: str, window: float, now: float) -> list[int]:
        """Return the buckets of what was observed in the last `window` seconds."""
        counts = [0] * (len(bounds_of(name_of(key))) + 1)
        for each in _matching(self._grown, key):
            for grown in self._grown[each]:
                if grown.at > now - window:
                    for index, count in grown.counts.items():
                        counts[index] += count
        return counts

    def totals(self, now: float) -> tuple[dict[str, int], dict[str, float], dict[str, Distribution]]:
        """Return counters, readings and histograms, summed by key."""
        readings = {key: value for key in self._levels if (value := self._gauge(key, now)) is not None}
        return (
            {key: self._total(key) for key in self._points},
            readings,
            {key: self.distribution(key) for key in self._grown},
        )

    # --- parts -----------------------------------------------------------------------------------------------

    def _live(self, now: float, seconds: float = SILENT_SECONDS) -> Iterator[_Run]:
        return (run for run in self._runs.values() if now - run.heard <= seconds)

    def _total(self, key: str) -> int:
        return self._past_counters.get(key, 0) + sum(
            run.sample.counters.get(key, 0) for run in self._runs.values()
        )

    def _gauge(self, key: str, now: float) -> float | None:
        readings = [run.sample.gauges[key] for run in self._live(now) if key in run.sample.gauges]
        if not readings:
            return None
        return max(readings) if name_of(key) in _HIGHEST else math.fsum(readings)

    def _last_whole(self, now: float) -> int:
        heard = [int(run.heard) for run in self._live(now, LATE_SECONDS)]
        return min(heard, default=int(now)) - 1


_EMPTY: Final = Sample("nobody", 0, 0, 0, {}, {}, {})


def _went_back(before: Sample, after: Sample) -> bool:
    """Tell whether anything was counted down, which only a process can do that started anew."""
    return any(after.counters.get(key, 0) < value for key, value in before.counters.items()) or any(
        key not in after.histograms
        or any(b < a for a, b in zip(old.counts, after.histograms[key].counts, strict=True))
        for key, old in before.histograms.items()
    )


def _share(run: _Run, sample: Sample, now: float) -> float:
    key = f'{_CPU}{{process="{sample.process}"}}'
    spent = sample.gauges.get(key, 0.0) - run.sample.gauges.get(key, 0.0)
    seconds = now - run.heard
    # Two samples within a moment, as when somebody just asked for one, tell nothing of the rate.
    return max(0.0, spent / seconds) if seconds >= 0.25 else run.cpu


def _plus(total: Distribution | None, more: Distribution) -> Distribution:
    if total is None:
        return more
    return Distribution([a + b for a, b in zip(total.counts, more.counts, strict=True)], total.sum + more.sum)


def _matching(known: Mapping[str, object], key: str) -> list[str]:
    """Return one series by its key, or all series of a name."""
    if key in known:
        return [key]
    return [] if "{" in key else [each for each in known if name_of(each) == key]
