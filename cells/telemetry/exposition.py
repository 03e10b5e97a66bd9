"""Prometheus text, version 0.0.4. PURE."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from cells.telemetry.instruments import bounds_of, name_of
from cells.telemetry.sample import Distribution

T = TypeVar("T")


def render(
    counters: Mapping[str, int], gauges: Mapping[str, float], histograms: Mapping[str, Distribution]
) -> str:
    """Return the text. A name that is used for two kinds of series is shown as the first of them."""
    lines: list[str] = []
    kinds: dict[str, str] = {}

    def shown(key: str, kind: str) -> bool:
        name = name_of(key)
        if name not in kinds:
            kinds[name] = kind
            # Seconds of processor time are read, not counted, and still only go up.
            shown_as = "counter" if kind == "gauge" and name.endswith("_total") else kind
            lines.append(f"# TYPE {name} {shown_as}")
        return kinds[name] == kind

    for key, total in _by_name(counters):
        if shown(key, "counter"):
            lines.append(f"{key} {total}")
    for key, reading in _by_name(gauges):
        if shown(key, "gauge"):
            lines.append(f"{key} {_number(reading)}")
    for key, distribution in _by_name(histograms):
        if shown(key, "histogram"):
            lines.extend(_buckets(key, distribution))
    return "\n".join(lines) + "\n"


def _by_name(series: Mapping[str, T]) -> list[tuple[str, T]]:
    return sorted(series.items(), key=lambda item: (name_of(item[0]), item[0]))


def _number(value: float) -> str:
    """Write a value with all of its digits, a whole one as an integer."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _bound(value: float) -> str:
    return f"{value:.7f}".rstrip("0").rstrip(".")


def _buckets(key: str, distribution: Distribution) -> Iterator[str]:
    name, _, rest = key.partition("{")
    labels = rest[:-1]
    prefix, braces = (f"{labels},", f"{{{labels}}}") if labels else ("", "")
    total = 0
    for bound, count in zip([*map(_bound, bounds_of(name)), "+Inf"], distribution.counts, strict=True):
        total += count
        yield f'{name}_bucket{{{prefix}le="{bound}"}} {total}'
    yield f"{name}_sum{braces} {distribution.sum:.6f}"
    yield f"{name}_count{braces} {total}"
