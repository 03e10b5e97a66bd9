"""What a process counts and measures of itself. PURE; an observation costs some hundred nanoseconds.

The end of a series' name tells its unit: histograms of `…_seconds` have bounds of seconds, all others of counts.
Labels are part of the name: `counter("titan_http_total", 'class="2xx"')`. No label comes from a client.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Final

# Renard's R10: ten steps a decade, of a ratio of at most 1.28, that can be written in three digits.
_STEPS: Final = (100, 125, 160, 200, 250, 315, 400, 500, 630, 800)

SECONDS: Final = tuple(
    bound
    for exponent in range(-7, 0)
    for step in _STEPS
    if 0.000_05 <= (bound := float(f"{step}e{exponent}")) <= 63
)
"""Upper bounds of durations: 50 µs to 63 s."""

COUNTS: Final = (
    *(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0),
    *(float(-(-step * 10**exponent // 100)) for exponent in range(1, 5) for step in _STEPS),
)
"""Upper bounds of numbers of things: 1 to 80,000."""


def bounds_of(name: str) -> tuple[float, ...]:
    """Return the upper bounds of a histogram's buckets; one more bucket is for what is above all of them."""
    return SECONDS if name.endswith("_seconds") else COUNTS


def series(name: str, labels: str = "") -> str:
    """Return the key of a series: `titan_http_total{class="2xx"}`."""
    return f"{name}{{{labels}}}" if labels else name


def name_of(key: str) -> str:
    """Return the name in the key of a series."""
    return key.partition("{")[0]


class Counter:
    """Counts up."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, n: int = 1) -> None:
        """Count `n` more."""
        self.value += n


class Histogram:
    """Counts observations in fixed buckets; `counts` is one longer than `bounds`."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Metrics:
    """All series of a process, by key."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._gauges: dict[str, Callable[[], float]] = {}

    @property
    def counters(self) -> Mapping[str, Counter]:
        """The counters."""
        return self._counters

    @property
    def histograms(self) -> Mapping[str, Histogram]:
        """The histograms."""
        return self._histograms

    @property
    def gauges(self) -> Mapping[str, Callable[[], float]]:
        """The readings."""
        return self._gauges

    def counter(self, name: str, labels: str = "") -> Counter:
        """Return the counter, made on first use."""
        return self._counters.setdefault(series(name, labels), Counter())

    def histogram(self, name: str, labels: str = "") -> Histogram:
        """Return the histogram, made on first use."""
        return self._histograms.setdefault(series(name, labels), Histogram(bounds_of(name)))

    def alias(self, name: str, labels: str, counter: Counter) -> None:
        """Show a counter by a second name too, that somebody may still ask for."""
        self._counters[series(name, labels)] = counter

    def gauge(self, name: str, read: Callable[[], float], labels: str = "") -> None:
        """Show what `read` returns whenever a sample is taken, from now on instead of an earlier reading.

        NaN: unknown at the moment, and not shown.
        """
        self._gauges[series(name, labels)] = read
