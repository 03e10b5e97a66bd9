"""Counters and histograms of one process, rendered as Prometheus text. Names are fixed: no label comes from a client."""

from bisect import bisect_left
from collections.abc import Callable

BOUNDS = (0.0005, 0.001, 0.002, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Counter:
    """Counts up."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, amount: int = 1) -> None:
        """Count `amount` more."""
        self.value += amount


class Histogram:
    """Seconds, in fixed buckets."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


class Metrics:
    """All series of a process. Labels are part of the name: `counter("titan_http_total", 'class="2xx"')`."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str], Counter] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}
        self._gauges: dict[tuple[str, str], Callable[[], float]] = {}

    def counter(self, name: str, labels: str = "") -> Counter:
        """Return the counter, made on first use."""
        return self._counters.setdefault((name, labels), Counter())

    def histogram(self, name: str, labels: str = "") -> Histogram:
        """Return the histogram, made on first use."""
        return self._histograms.setdefault((name, labels), Histogram())

    def gauge(self, name: str, read: Callable[[], float], labels: str = "") -> None:
        """Show what `read` returns at the time of the scrape."""
        self._gauges[name, labels] = read

    def render(self) -> str:
        """Return the text exposition format, version 0.0.4."""
        lines: list[str] = []
        typed: set[str] = set()

        def head(name: str, kind: str) -> None:
            if name not in typed:
                typed.add(name)
                lines.append(f"# TYPE {name} {kind}")

        for (name, labels), counter in sorted(self._counters.items()):
            head(name, "counter")
            lines.append(f"{name}{_braces(labels)} {counter.value}")
        for (name, labels), read in sorted(self._gauges.items()):
            head(name, "gauge")
            lines.append(f"{name}{_braces(labels)} {_number(read())}")
        for (name, labels), histogram in sorted(self._histograms.items()):
            head(name, "histogram")
            lines.extend(_buckets(name, labels, histogram))
        return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Write a value with all of its digits, a whole one as an integer."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _buckets(name: str, labels: str, histogram: Histogram) -> list[str]:
    prefix = f"{labels}," if labels else ""
    total = 0
    lines = []
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], histogram.counts, strict=True):
        total += count
        lines.append(f'{name}_bucket{{{prefix}le="{bound}"}} {total}')
    lines.append(f"{name}_sum{_braces(labels)} {histogram.sum:.6f}")
    lines.append(f"{name}_count{_braces(labels)} {total}")
    return lines
