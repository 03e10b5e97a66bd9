"""What a simulated cell shows of its folded state: frames and pages, in the words of the operator API."""

import random
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

from admin_tui import answers, wire
from admin_tui.simulated_log import Folded, SimulatedLog

T = TypeVar("T", wire.SaleRow, answers.OrderRow, answers.HoldRow)
SERIES: Final = ("holds", "orders", "released", "expired", "messages", "commits")
TELEMETRY: Final = ("requests", "refusals", "sockets", "deliveries")
LATENCIES: Final = (("hold", 4.0), ("http", 2.5), ("gate", 0.8), ("append", 1.6))
PROCESSES: Final = (
    ("nats", "engine", 61),
    ("valkey", "engine", 22),
    ("postgres", "engine", 88),
    ("api", "role", 74),
    ("writer", "role", 41),
    ("hub", "role", 47),
    ("projector", "role", 52),
    ("observer", "role", 44),
)
Params = dict[str, str]


class SimulatedProcesses:
    """The processes of a simulated cell; any of them can be away."""

    def __init__(self) -> None:
        self._state = {name: ("running", "", 0) for name, _, _ in PROCESSES}

    def kill(self, name: str, detail: str = "ended with signal 9") -> None:
        """Take a process away; `restart` brings it back."""
        self._state[name] = ("starting", detail, self._state[name][2])

    def restart(self, name: str) -> None:
        """Bring a process back; its restarts count one more."""
        self._state[name] = ("running", "", self._state[name][2] + 1)

    def rows(self, chance: random.Random) -> list[wire.ProcessRow]:
        """Return how they are."""
        return [
            wire.ProcessRow(
                name,
                kind,
                self._state[name][0],
                self._state[name][1],
                4000 + index,
                self._state[name][2],
                (rss << 20) + chance.randrange(1 << 20),
                round(chance.uniform(0.01, 0.4), 3),
            )
            for index, (name, kind, rss) in enumerate(PROCESSES)
        ]

    def alerts(self, now: int) -> list[wire.Alert]:
        """Return what an operator has to know of them."""
        return [
            wire.Alert(f"process:{name}", "critical", now, f"{name} is away", detail, "titan status")
            for name, (state, detail, _) in self._state.items()
            if state != "running"
        ]


def frame(log: SimulatedLog, folded: Folded, now: int, processes: SimulatedProcesses | None) -> wire.Frame:
    """Return a frame of a state; without `processes` that of a replay, which has no telemetry."""
    chance = random.Random(f"{log.cell}/{now // 1000}")
    live = processes is not None
    second = now // 1000
    sales = _sales(folded, second)
    return wire.Frame(
        log.cell,
        "live" if live else "replay",
        now,
        folded.position,
        first=1,
        last=len(log.events),
        slots=[(0, 4095)],
        log=wire.LogState(
            1,
            len(log.events),
            "9f3c",
            folded.position,
            "always",
            "sound",
            folded.position,
            chance.uniform(2, 40),
        ),
        totals=totals(folded, 40 + chance.randrange(9) if live else 0),
        series=_all_series(folded, second, chance if live else None),
        latencies=[_latency(chance, name, base) for name, base in LATENCIES] if live else [],
        processes=processes.rows(chance) if processes is not None else [],
        alerts=processes.alerts(now) if processes is not None else [],
        sales=sales[:100],
        more_sales=max(0, len(sales) - 100),
        told=msgspec.Raw(msgspec.json.encode(list(folded.lines)[-20:][::-1])),
    )


def totals(folded: Folded, sockets: int) -> wire.Totals:
    """Return the counts of a state."""
    sales = list(folded.sales.values())
    states = dict.fromkeys(("draft", "armed", "open", "paused", "ended", "killed"), 0)
    for sale in sales:
        states[sale.state] += 1
    summed = {
        name: sum(getattr(sale, name) for sale in sales)
        for name in ("stock", "available", "held", "sold", "oversold", "duplicate_units", "orders", "holds")
    }
    messages = sum(room.messages for room in folded.rooms.values())
    return wire.Totals(
        sales=len(sales), messages=messages, rooms=len(folded.rooms), sockets=sockets, **states, **summed
    )


def _sales(folded: Folded, second: int) -> list[wire.SaleRow]:
    """Return all sales, live ones and the newest moved first."""
    sales = [_sale(folded, row, second) for row in folded.sales.values()]
    return sorted(sales, key=lambda row: (row.state not in {"open", "paused"}, -row.moved_at, row.id))


def _sale(folded: Folded, row: wire.SaleRow, second: int) -> wire.SaleRow:
    points = folded.taken.get(row.id, {})
    return msgspec.structs.replace(row, taken=[points.get(second - ago, 0) for ago in range(60, 0, -1)])


def _all_series(folded: Folded, second: int, telemetry: random.Random | None) -> list[wire.Series]:
    found = []
    for name in SERIES:
        points = folded.seconds.get(name, {})
        history = [float(points.get(second - ago, 0)) for ago in range(60, 0, -1)]
        found.append(wire.Series(name, "/s", history[-1], msgspec.Raw(msgspec.json.encode(history))))
    if telemetry is not None:
        holds = found[0].history
        for name, factor in zip(TELEMETRY, (11.0, 2.0, 0.0, 30.0), strict=True):
            history = [factor * point + (44.0 if name == "sockets" else 1.0) for point in holds]
            unit = "" if name == "sockets" else "/s"
            found.append(wire.Series(name, unit, history[-1], msgspec.Raw(msgspec.json.encode(history))))
    return found


def _latency(chance: random.Random, name: str, base: float) -> wire.Latency:
    p50 = base * chance.uniform(0.7, 1.3)
    p99 = p50 * chance.uniform(2, 6)
    return wire.Latency(name, chance.randrange(50, 4000), p50, p99, p99 * chance.uniform(1.2, 3))


# --- pages ---


def page(
    rows: Iterable[T], params: Params, fields: dict[str, str], text: Callable[[T], str]
) -> dict[str, Any]:
    """Return the rows that the parameters name; `fields` maps a parameter to a field, `text` is what `q` looks in."""
    found = [
        row
        for row in rows
        if all(str(getattr(row, field)) == params[name] for name, field in fields.items() if name in params)
        and params.get("q", "").casefold() in text(row).casefold()
    ]
    behind = [index for index, row in enumerate(found, 1) if row.id == params.get("cursor")]
    start, limit = behind[0] if behind else 0, int(params.get("limit", 100))
    shown = found[start : start + limit]
    return {"items": shown, "next": shown[-1].id if start + limit < len(found) else None}


def pages(name: str, folded: Folded, params: Params) -> dict[str, Any]:
    """Return a page of sales, orders, holds or rooms, the newest first."""
    match name:
        case "sales":
            rows = _sales(folded, folded.at // 1000)
            return page(rows, params, {"state": "state"}, lambda row: f"{row.id} {row.title}")
        case "orders":
            fields = {"sale": "sale_id", "buyer": "buyer_id", "payment": "payment"}
            orders = list(folded.orders.values())[::-1]
            return page(orders, params, fields, lambda row: f"{row.id} {row.sale_id} {row.buyer_id}")
        case "holds":
            fields = {"sale": "sale_id", "buyer": "buyer_id", "status": "status"}
            holds = list(folded.holds.values())[::-1]
            return page(holds, params, fields, lambda row: f"{row.id} {row.sale_id} {row.buyer_id}")
        case _:
            return {"items": list(folded.rooms.values())}


def messages(folded: Folded, sale: str, params: Params) -> dict[str, Any]:
    """Return a room's messages before a number, the newest first."""
    before = int(params.get("before", 1 << 60))
    rows = [row for row in folded.messages[sale] if row.s < before][-int(params.get("limit", 50)) :]
    return {"items": rows[::-1], "position": folded.position}


def lines(log: SimulatedLog, params: Params) -> dict[str, Any]:
    """Return a stretch of the log, in its order: the newest, or what is next to a position."""
    limit = int(params.get("limit", 100))
    subject = re.compile(_pattern(params.get("subject", ">")))
    folded = Folded()
    folded.lines = type(folded.lines)(maxlen=None)
    for event in log.events:
        folded.apply(event)
    found = [
        line
        for line in folded.lines
        if subject.fullmatch(f"log.{line.slot:03x}.{line.kind}.{line.key}")
        and params.get("type", line.type) == line.type
        and int(params.get("after", 0)) < line.position < int(params.get("before", 1 << 60))
    ]
    items = found[:limit] if "after" in params else found[-limit:]
    start = items[0].position if items and len(items) == limit and "after" not in params else 1
    end = items[-1].position if items and len(items) == limit and "after" in params else len(log.events)
    return {"items": items, "first": 1, "last": len(log.events), "start": start, "end": end}


def _pattern(subject: str) -> str:
    return re.escape(subject).replace(r"\*", "[^.]+").replace("*", "[^.]+").replace(">", ".+")


def commit(log: SimulatedLog, position: int) -> dict[str, Any]:
    """Return one event as its commit."""
    event = log.events[position - 1]
    kind = "room" if event.type in {"said", "moderated"} else "sale"
    data = {"by": event.by, "text": event.text, "at": event.at} | event.data
    return {
        "position": position,
        "at": event.at,
        "subject": f"log.{event.sale[4:7]}.{kind}.{event.sale}",
        "version": position,
        "prev": f"{position - 1:064x}",
        "hash": f"{position:064x}",
        "size": len(msgspec.json.encode(data)),
        "events": [{"type": event.type.capitalize(), "version": 1, "data": data}],
    }


def health(processes: SimulatedProcesses, now: int) -> list[answers.Check]:
    """Return what `titan doctor` would say."""
    away = [answers.Check(alert.what, "fail", alert.why, alert.mend) for alert in processes.alerts(now)]
    return [
        answers.Check("log", "ok", "fsync always; 1 epoch; sound"),
        answers.Check("disk", "warn", "11 % free", "free some space, or move the data folder"),
        answers.Check("clock", "ok", "in step with the log"),
        answers.Check("memory", "ok", "1.2 GiB free"),
        *away,
    ]
