"""All there is to know of one sale, in facts, checks and the decisions about it."""

from collections.abc import Sequence
from typing import Final

from textual.content import Content

from admin_tui.actions import Life
from admin_tui.answers import Move
from admin_tui.forecast import Forecast, sell_through, sold_out
from admin_tui.picture import CellPicture
from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.drawn import Fact
from admin_tui.widgets.figures import BAD, DIM, GOOD, WARN
from admin_tui.wire import SaleRow

MANY_EXPIRED: Final = 0.25
DAY_SECONDS: Final = 86_400


def headline(sale: SaleRow, now: int) -> Content:
    """Return state, price, and when it starts or ends."""
    parts = [figures.state(sale.state), Content.styled(figures.money(sale.price), "bold")]
    if sale.throttle is not None:
        parts.append(Content.styled(f"throttled {sale.throttle:,}/s", WARN))
    if sale.state in {"draft", "armed"} and sale.starts_at:
        parts.append(Content.assemble(("starts in ", DIM), (figures.span(sale.starts_at - now), "bold")))
    elif sale.state in {"open", "paused"} and sale.ends_at:
        parts.append(Content.assemble(("ends in ", DIM), (figures.span(sale.ends_at - now), "bold")))
    return Content("   ").join(parts)


def outlook(sale: SaleRow, now: int) -> list[Fact]:
    """Return how it sells, and when nothing will be left."""
    forecast = sold_out(sale.available, sale.taken, is_open=sale.state == "open")
    rate = figures.rate(forecast.rate).content() if sale.state == "open" else Content.styled("not open", DIM)
    rows = [
        Fact("demand", rate),
        Fact("sold", figures.share(sell_through(sale.sold, sale.stock)).content()),
    ]
    if sale.stock and sale.available <= 0:
        rows.append(
            Fact(
                "sold out", Content.styled("now" if not sale.held else f"now, {sale.held:,} still held", WARN)
            )
        )
    elif forecast.seconds is None:
        rows.append(Fact("sold out", Content.styled("not in sight", DIM)))
    else:
        rows += _when(forecast, forecast.seconds, now)
    return rows


def _when(forecast: Forecast, seconds: float, now: int) -> list[Fact]:
    words = [("in about ", DIM), (figures.span(1000 * seconds), "bold")]
    if seconds < DAY_SECONDS:
        words.append((f", at {figures.clock(now + round(1000 * seconds))}", ""))
    rows = [Fact("sold out", Content.assemble(*words))]
    if (
        forecast.soonest is not None
        and forecast.latest is not None
        and forecast.latest - forecast.soonest >= 2
    ):
        between = (
            f"between {figures.span(1000 * forecast.soonest)} and {figures.span(1000 * forecast.latest)}"
        )
        rows.append(Fact("", Content.styled(between, DIM)))
    return rows


def numbers(sale: SaleRow, cell: str) -> list[Fact]:
    """Return what is fixed of it, and what came of its holds."""
    became = [("ordered", sale.orders), ("back", sale.released), ("expired", sale.expired)]
    parts = [Content.assemble((f"{value:,}", "bold"), (f" {name}", DIM)) for name, value in became]
    return [
        Fact("holds", Content.assemble((f"{sale.holds:,}", "bold"), (" → ", DIM), Content(", ").join(parts))),
        Fact("id", Content(inert(sale.id, 40))),
        Fact("of", Content.styled(f"{inert(sale.merchant_id, 40)}", DIM)),
        Fact("cell", Content.assemble(inert(cell, 20), (f" · revision {sale.revision:,}", DIM))),
        Fact("window", Content.styled(_window(sale), DIM)),
    ]


def _window(sale: SaleRow) -> str:
    if not sale.starts_at and not sale.ends_at:
        return "no fixed times"
    return f"{_moment(sale.starts_at)} to {_moment(sale.ends_at)}"


def _moment(at: int | None) -> str:
    return figures.day(at) if at else "open end"


def checks(sale: SaleRow, cell: CellPicture | None) -> list[Fact]:
    """Return a list of what has to be right, with what is not marked."""
    wrong = sale.oversold + sale.duplicate_units
    rows = [
        Fact("stock", f"{sale.stock:,} units", "ok" if sale.stock > 0 else "fail"),
        Fact("oversold", "never" if not wrong else f"{sale.oversold:,} units, {sale.duplicate_units:,} twice",
             "ok" if not wrong else "fail"),
        Fact("sums", *_sums(sale)),
    ]  # fmt: skip
    if sale.holds and sale.expired / sale.holds > MANY_EXPIRED:
        rows.append(
            Fact("paying", f"{figures.share(sale.expired / sale.holds)} of the holds expired", "warn")
        )
    if cell is not None:
        state = cell.state
        rows.append(Fact("cell", state, "ok" if state == "ok" else "warn" if cell.connected else "fail"))
    if sale.throttle is not None:
        rows.append(Fact("throttle", f"{sale.throttle:,} holds/s", "warn"))
    return rows


def _sums(sale: SaleRow) -> tuple[str, str]:
    total = sale.available + sale.held + sale.sold
    if total == sale.stock:
        return "left + held + sold = stock", "ok"
    return f"left + held + sold = {total:,}, not {sale.stock:,}", "fail"


def trail(moves: Sequence[Move], most: int = 50) -> Content:
    """Return the decisions about a sale, the newest first."""
    if not moves:
        return Content.styled("no decisions yet", DIM)
    newest = sorted(moves, key=lambda move: (-move.position, -move.at))[:most]
    return Content("\n").join([_move(move) for move in newest])


def _move(move: Move) -> Content:
    what = inert(move.what, 12)
    if move.what == "throttle":
        what = "no throttle" if move.throttle is None else f"throttle {move.throttle:,}/s"
    reason = f"  {inert(move.reason, 120)}" if move.reason else ""
    who = inert(move.name or move.by, 24) or "the clock"
    return Content.assemble(
        (figures.clock(move.at), DIM), (f"  {what:<11}", "bold"), (f" {who}", ""), (reason, DIM)
    )


def in_flight(lives: Sequence[Life], sale: str) -> Content:
    """Return how far the newest actions on a sale have come."""
    shown = [life for life in lives if life.action.sale == sale][:4]
    if not shown:
        return Content.styled("none from here yet", DIM)
    return Content("\n").join([_life(life) for life in shown])


def _life(life: Life) -> Content:
    parts: list[Content | tuple[str, str]] = [
        (figures.clock(life.requested_at), DIM),
        (f"  {life.action.what.split(' ')[0]}", "bold"),
        ("\n  requested", ""),
    ]
    if life.acknowledged_at is not None:
        parts.append((f" → acknowledged +{life.acknowledged_at - life.requested_at} ms", ""))
    if life.stage == "effective":
        parts.append((f" → effective +{(life.effective_at or 0) - life.requested_at} ms", GOOD))
    elif life.stage in {"refused", "failed"}:
        parts.append((f" → {life.stage}: {inert(life.word or life.code, 80)}", BAD))
    return Content.assemble(*parts)
