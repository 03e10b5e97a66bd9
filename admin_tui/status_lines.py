"""The state of all cells in five lines, for a terminal that has no room, and for scripts."""

from admin_tui.picture import Picture
from admin_tui.text import fit, inert
from admin_tui.widgets import figures

LINES = 5
BARS = "▁▂▃▄▅▆▇█"


def status_lines(picture: Picture, width: int) -> list[str]:
    """Return five lines of at most `width` cells: connection, sales, rates, latency, alerts."""
    heard = sum(cell.connected for cell in picture.cells)
    name = picture.selected if len(picture.cells) == 1 else f"{len(picture.cells)} cells"
    totals = picture.totals
    latency = max((cell.metric("p99") for cell in picture.cells), default=0.0)
    lag = max((cell.metric("lag") for cell in picture.cells), default=0.0)
    restarts = sum(cell.metric("restarts") for cell in picture.cells)
    units = f"{totals.available:,} left of {totals.stock:,}, {totals.held:,} held, {totals.sold:,} sold"
    sales = f"sales {totals.open} open, {totals.paused} paused, {totals.armed} armed"
    lines = [
        f"TITAN {inert(name, 24)}  {figures.clock(picture.at)}  {_connection(picture, heard)}",
        f"{sales}   stock {units}   oversold {totals.oversold + totals.duplicate_units}",
        f"holds/s {_rate(picture, 'holds')}  orders/s {_rate(picture, 'orders')}  sockets {totals.sockets:,}",
        f"p99 {figures.duration(latency)}   lag {figures.duration(lag)}   restarts {restarts:.0f}",
        _alerts(picture),
    ]
    return [fit(line, width) for line in lines]


def _connection(picture: Picture, heard: int) -> str:
    if heard == len(picture.cells):
        return "LIVE"
    away = next((cell for cell in picture.cells if not cell.connected), None)
    why = inert(away.why, 60) if away is not None else ""
    return f"{len(picture.cells) - heard} NOT HEARD {why}".rstrip()


def _rate(picture: Picture, name: str) -> str:
    histories = [cell.histories.get(name, []) for cell in picture.cells]
    length = min(30, max(map(len, histories), default=0))
    points = [
        sum(history[-ago] for history in histories if len(history) >= ago) for ago in range(length, 0, -1)
    ]
    now = points[-1] if points else 0.0
    return f"{figures.rate(now).number} {spark(points)}"


def spark(points: list[float]) -> str:
    """Return a bar for each point, the highest one full."""
    most = max(points, default=0.0)
    return "".join(BARS[round(point / most * 7)] if most else BARS[0] for point in points)


def _alerts(picture: Picture) -> str:
    if not picture.alerts:
        return "no alerts"
    first = picture.alerts[0]
    more = f"  (+{len(picture.alerts) - 1})" if len(picture.alerts) > 1 else ""
    return f"⚠ {inert(first.cell, 16)}: {inert(first.alert.what, 80)} {inert(first.alert.why, 80)}{more}"
