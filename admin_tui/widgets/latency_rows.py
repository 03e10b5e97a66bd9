"""Latencies as rows of a table."""

from math import log10
from typing import Final

from textual.content import Content

from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.columns import Column, Row
from admin_tui.widgets.figures import DIM, INK, WARN
from admin_tui.wire import Latency

LATENCY_COLUMNS: Final = (
    Column("name", "what", 7),
    Column("p50", "p50", 7, "right"),
    Column("p99", "p99", 7, "right"),
    Column("p999", "p999", 7, "right", rank=2),
    Column("scale", "0.1 ms … 1 s", rank=3),
    Column("count", "count", 8, "right", rank=4),
)
SLOW_MS: Final = 250
SCALE: Final = 12


def draw_latency(latency: Latency) -> Row:
    """Return the cells of a latency; the scale has p50 as a dot and reaches to p99."""
    return (
        Content.styled(inert(latency.name, 12), "bold"),
        figures.duration(latency.p50_ms).content(""),
        figures.duration(latency.p99_ms).content(WARN if latency.p99_ms >= SLOW_MS else "bold"),
        figures.duration(latency.p999_ms).content(""),
        span(latency),
        Content.styled(f"{latency.count:,}", DIM),
    )


def span(latency: Latency) -> Content:
    """Return p50 to p99 on a logarithmic scale of four decades."""
    low, high = _place(latency.p50_ms), _place(latency.p99_ms)
    return Content.assemble(
        ("─" * low, DIM), ("●", INK), ("━" * (high - low), INK), ("─" * (SCALE - high - 1), DIM)
    )


def _place(ms: float) -> int:
    return max(0, min(SCALE - 1, int((log10(max(ms, 0.1)) + 1) / 4 * SCALE)))
