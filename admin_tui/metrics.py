"""What is measured of a cell: the names that a heat map and the movers go by, and how each is read from a frame."""

from collections.abc import Callable
from typing import Final

import msgspec

from admin_tui.wire import Frame

SELLING: Final = frozenset({"open", "paused"})


class Readings(msgspec.Struct, frozen=True):
    """A frame with its series and latencies by name: newest values, and p99 in milliseconds."""

    frame: Frame
    series: dict[str, float]
    p99: dict[str, float]


class Metric(msgspec.Struct, frozen=True):
    """A number of a cell. `more_is_worse`: high values are what an operator looks for."""

    name: str
    unit: str
    read: Callable[[Readings], float]
    more_is_worse: bool = True


def _load(readings: Readings) -> float:
    series = readings.series
    return series.get("requests") or series.get("holds", 0.0) + series.get("orders", 0.0)


def _p99(readings: Readings) -> float:
    return readings.p99.get("hold") or readings.p99.get("http", 0.0)


def _errors(readings: Readings) -> float:
    return readings.series.get("refusals", 0.0)


def _stock_left(readings: Readings) -> float:
    selling = [sale for sale in readings.frame.sales if sale.state in SELLING]
    stock = sum([sale.stock for sale in selling])
    return 100.0 * sum([sale.available for sale in selling]) / stock if stock else 100.0


def _restarts(readings: Readings) -> float:
    return float(sum([each.restarts for each in readings.frame.processes]))


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("load", "/s", _load),
        Metric("p99", "ms", _p99),
        Metric("errors", "/s", _errors),
        Metric("stock left", "%", _stock_left, more_is_worse=False),
        Metric("lag", "ms", lambda readings: readings.frame.log.lag_ms),
        Metric("restarts", "", _restarts),
    )
}


def values(frame: Frame) -> dict[str, float]:
    """Return the newest value of every series and of every metric, by name."""
    series = {each.name: each.now for each in frame.series}
    readings = Readings(frame, series, {each.name: each.p99_ms for each in frame.latencies})
    return series | {name: metric.read(readings) for name, metric in METRICS.items()}
