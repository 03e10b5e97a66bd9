"""What the processes of a cell say of themselves, in the words of the operators' API."""

from collections.abc import Iterable
from typing import Final

from cells.telemetry.collect import Collected
from server.ops import rows, words
from server.ops.frame import Measured

WINDOW_SECONDS: Final = 10.0
LATENCIES: Final = {
    "hold": "titan_hold_seconds",
    "http": "titan_http_seconds",
    "gate": "titan_gate_seconds",
    "append": "titan_append_seconds",
}
REFUSED: Final = ("sold_out", "limit_reached", "not_open", "rate_limited", "other")
_ERRORS: Final = 'titan_http_total{class="5xx"}'


def measured(collected: Collected) -> Measured:
    """Return rates, latencies, and what each process takes of a processor."""
    sockets = collected.gauge("titan_sockets")
    histories = {
        "requests": collected.history("titan_http_total"),
        "refusals": refusals(collected),
        "sockets": collected.history("titan_sockets"),
        "deliveries": collected.history("titan_deliveries_total"),
    }
    return Measured(
        series=[_series(name, histories[name], sockets) for name in words.TELEMETRY_SERIES],
        latencies=[_latency(collected, name, key) for name, key in LATENCIES.items()],
        cpu={each.pid: collected.cpu(each.process, each.pid) for each in collected.processes()},
        sockets=int(sockets),
    )


def refusals(collected: Collected) -> list[float]:
    """Return the holds that were refused in each second, for whatever reason."""
    return summed(collected.history(f'titan_holds_total{{outcome="{each}"}}') for each in REFUSED)


def summed(histories: Iterable[list[float]]) -> list[float]:
    """Return histories of the same seconds as one."""
    return [sum(points) for points in zip(*histories, strict=True)]


def errors(collected: Collected) -> int:
    """Return how many requests of the last seconds were answered with a fault of the cell."""
    return round(sum(collected.history(_ERRORS, int(WINDOW_SECONDS))))


def lag_ms(collected: Collected) -> float:
    """Return how far the read models are behind the log."""
    return collected.gauge("titan_projection_lag_seconds") * 1000


def projected(collected: Collected) -> int:
    """Return the position that the read models are at; 0 while nobody says."""
    return int(collected.gauge("titan_projection_position"))


def _series(name: str, history: list[float], sockets: float) -> words.Series:
    now = sockets if name == "sockets" else history[-1]
    return words.Series(name, rows.UNITS[name], round(now, 1), [round(point, 1) for point in history])


def _latency(collected: Collected, name: str, key: str) -> words.Latency:
    found = [collected.percentile(key, q, WINDOW_SECONDS) or 0.0 for q in (0.5, 0.99, 0.999)]
    p50, p99, p999 = (round(seconds * 1000, 3) for seconds in found)
    return words.Latency(name, collected.count(key, WINDOW_SECONDS), p50, p99, p999)
