"""Numbers, times and states as the dashboard writes them: aligned, with thousands separators and dim units. PURE."""

import datetime as dt
from typing import NamedTuple

from textual.content import Content

from admin_tui.wire import Price
from cells.kernel.money import shown

DIM = "$foreground-muted"
FAINT = "$foreground-disabled"
STRONG = "bold"
INK = "$primary"
ACCENT = "$accent"
GOOD = "$success"
WARN = "$warning"
BAD = "$error"

KIB = 1024

STATES: dict[str, tuple[str, str]] = {
    "draft": ("○", DIM),
    "armed": ("◐", INK),
    "open": ("●", GOOD),
    "paused": ("‖", WARN),
    "ended": ("■", DIM),
    "killed": ("x", BAD),
}


class Figure(NamedTuple):
    """A number as text, and its unit, which is shown dim."""

    number: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.number} {self.unit}" if self.unit.isalpha() else self.number + self.unit

    def content(self, style: str = STRONG) -> Content:
        """Return both, the number in the style."""
        gap = " " if self.unit.isalpha() else ""
        return Content.assemble((self.number, style), (gap + self.unit, DIM))


NONE = Figure("-")


def count(value: float) -> Figure:
    return Figure(f"{round(value):,}")


def rate(value: float) -> Figure:
    """Return a rate a second; slow ones keep a digit after the point."""
    return Figure(f"{value:.1f}" if 0 < value < 10 and value != int(value) else f"{round(value):,}", "/s")


def duration(ms: float) -> Figure:
    """Return a duration in ms below a second, in s above."""
    if ms >= 1000:
        return Figure(f"{ms / 1000:,.1f}" if ms < 100_000 else f"{ms / 1000:,.0f}", "s")
    return Figure(f"{ms:.1f}" if 0 < ms < 10 else f"{ms:.0f}", "ms")


def size(octets: int) -> Figure:
    """Return an amount of memory."""
    if octets < KIB * KIB:
        return Figure(f"{octets / KIB:,.0f}", "KiB")
    if octets < 10 * KIB**3:
        return Figure(f"{octets / KIB**2:,.0f}", "MiB")
    return Figure(f"{octets / KIB**3:,.1f}", "GiB")


def share(value: float) -> Figure:
    """Return a share of 1 in percent; a share that is not whole is never rounded to it, nor one above 0 to 0."""
    percent = value * 100
    if 0 < percent < 1:
        return Figure("<1", "%")
    if 99 < percent < 100:
        return Figure("99", "%")
    return Figure(f"{percent:.0f}", "%")


def compact(value: float) -> str:
    """Return at most five characters: 512, 9.1k, 128k, 1.2M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit * 0.9995:
            scaled = value / limit
            return f"{scaled:.1f}{unit}" if abs(scaled) < 99.95 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}"


def span(ms: float) -> str:
    """Return how long: 12s, 41:07, 4:12:30, 2d 4h."""
    seconds = max(0, int(ms // 1000))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02}"
    if seconds < 86_400:
        return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
    return f"{seconds // 86_400}d {seconds % 86_400 // 3600}h"


def clock(ms: int | None) -> str:
    """Return the time of day of this terminal's zone, to the second."""
    return "-" if ms is None else _local(ms).strftime("%H:%M:%S")


def stamp(ms: int | None) -> str:
    """Return the time of day of this terminal's zone, to the millisecond."""
    return "-" if ms is None else f"{_local(ms):%H:%M:%S}.{ms % 1000:03}"


def day(ms: int | None) -> str:
    """Return date and time of this terminal's zone, to the second."""
    return "-" if ms is None else _local(ms).strftime("%Y-%m-%d %H:%M:%S")


def money(price: Price) -> str:
    """Return the amount in major units, with as many digits as the currency has."""
    return shown(price.amount, price.currency[:3])


def state(name: str) -> Content:
    """Return a sale's state behind its sign."""
    sign, style = STATES.get(name, ("?", DIM))
    return Content.assemble((f"{sign} ", style), (name[:8], style))


def _local(ms: int) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(ms / 1000).astimezone()
    except (OverflowError, OSError, ValueError):
        return dt.datetime.fromtimestamp(0, dt.UTC)
