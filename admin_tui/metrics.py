"""What is measured of a cell: the names that a heat map and the movers go by, and how each is read from a frame."""

from collections.abc import Callable
from typing import Final

import msgspec

from admin_tui.wire import Frame


class Metric(msgspec.Struct, frozen=True):
    """A number of a cell. `more_is_worse`: high values are what an operator looks for."""

    name: str
    unit: str
    read: Callable[[Frame], float]
    more_is_worse: bool = True


def series(frame: Frame, name: str) -> float:
    """Return the newest value of a series; 0 where there is none."""
    return next((each.now for each in frame.series if each.name == name), 0.0)


def latency(frame: Frame, name: str) -> float:
    """Return the p99 of a latency in milliseconds; 0 where there is none."""
    return next((each.p99_ms for each in frame.latencies if each.name == name), 0.0)


def _load(frame: Frame) -> float:
    return series(frame, "requests") or series(frame, "holds") + series(frame, "orders")


def _p99(frame: Frame) -> float:
    return latency(frame, "hold") or latency(frame, "http")


def _stock_left(frame: Frame) -> float:
    stock = sum(sale.stock for sale in frame.sales if sale.state in {"open", "paused"})
    left = sum(sale.available for sale in frame.sales if sale.state in {"open", "paused"})
    return 100.0 * left / stock if stock else 100.0


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("load", "/s", _load),
        Metric("p99", "ms", _p99),
        Metric("errors", "/s", lambda frame: series(frame, "refusals")),
        Metric("stock left", "%", _stock_left, more_is_worse=False),
        Metric("lag", "ms", lambda frame: frame.log.lag_ms),
        Metric("restarts", "", lambda frame: float(sum(each.restarts for each in frame.processes))),
    )
}
