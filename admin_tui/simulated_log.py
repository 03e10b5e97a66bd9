"""A simulated cell: a log that grows by seed and clock, and the state folded from it, as of any position."""

import random
from collections import deque
from typing import Any, Final

import msgspec

from admin_tui.answers import HoldRow, MessageRow, Move, OrderRow, RoomRow
from admin_tui.simulated_names import BUYERS, CHATTER, TITLES, ident
from admin_tui.wire import Line, Price, SaleRow

STEPS: Final = {
    "arm": ({"draft"}, "armed"),
    "open": ({"draft", "armed"}, "open"),
    "pause": ({"open"}, "paused"),
    "resume": ({"paused"}, "open"),
    "end": ({"armed", "open", "paused"}, "ended"),
    "kill": ({"draft", "armed", "open", "paused"}, "killed"),
}


class Happened(msgspec.Struct, frozen=True):
    """An event of the simulated log."""

    position: int
    at: int
    type: str
    sale: str
    by: str
    text: str
    data: dict[str, Any]


class Folded:
    """The state of a simulated cell up to a position."""

    def __init__(self) -> None:
        self.position = 0
        self.at = 0
        self.sales: dict[str, SaleRow] = {}
        self.moves: dict[str, list[Move]] = {}
        self.holds: dict[str, HoldRow] = {}
        self.orders: dict[str, OrderRow] = {}
        self.rooms: dict[str, RoomRow] = {}
        self.messages: dict[str, list[MessageRow]] = {}
        self.lines: deque[Line] = deque(maxlen=200)
        self.seconds: dict[str, dict[int, int]] = {}
        self.taken: dict[str, dict[int, int]] = {}

    def apply(self, event: Happened) -> None:
        """Fold one event in."""
        self.position, self.at = event.position, event.at
        getattr(self, f"_{event.type}")(event, event.data)
        kind = "room" if event.type in {"said", "moderated"} else "sale"
        self.lines.append(
            Line(
                event.position,
                0,
                event.at,
                int(event.sale[4:7], 16),
                kind,
                event.sale,
                event.type.capitalize(),
                event.position,
                event.by,
                event.text,
            )
        )
        self._count("commits", event.at)

    def _count(self, name: str, at: int, n: int = 1) -> None:
        points = self.seconds.setdefault(name, {})
        points[at // 1000] = points.get(at // 1000, 0) + n

    def _change(self, id_: str, **changes: Any) -> None:
        self.sales[id_] = msgspec.structs.replace(self.sales[id_], **changes)

    def _drafted(self, event: Happened, d: dict[str, Any]) -> None:
        self.sales[event.sale] = SaleRow(
            event.sale,
            d["merchant"],
            d["product"],
            d["title"],
            "draft",
            0,
            Price(d["price"]),
            d["stock"],
            d["stock"],
            created_at=event.at,
            moved_at=event.at,
            moved_by=event.by,
        )
        self.moves[event.sale] = []
        self.rooms[event.sale] = RoomRow(event.sale, d["title"])
        self.messages[event.sale] = []

    def _moved(self, event: Happened, d: dict[str, Any]) -> None:
        sale = self.sales[event.sale]
        self._change(
            event.sale,
            state=d["state"],
            revision=sale.revision + 1,
            moved_at=event.at,
            moved_by=event.by,
            reason=d["reason"],
        )
        self.moves[event.sale].append(Move(event.at, event.position, event.by, d["what"], d["reason"]))

    def _throttled(self, event: Happened, d: dict[str, Any]) -> None:
        sale = self.sales[event.sale]
        self._change(event.sale, revision=sale.revision + 1, throttle=d["per_second"])
        move = Move(event.at, event.position, event.by, "throttle", d["reason"], d["per_second"])
        self.moves[event.sale].append(move)

    def _held(self, event: Happened, d: dict[str, Any]) -> None:
        sale = self.sales[event.sale]
        n = d["quantity"]
        units = list(range(sale.stock - sale.available + 1, sale.stock - sale.available + 1 + n))
        self.holds[d["hold"]] = HoldRow(
            d["hold"],
            event.sale,
            event.by,
            n,
            units,
            "held",
            event.at,
            event.at + 120_000,
            0,
            event.position,
        )
        self._change(event.sale, available=sale.available - n, held=sale.held + n, holds=sale.holds + 1)
        self._count("holds", event.at)
        points = self.taken.setdefault(event.sale, {})
        points[event.at // 1000] = points.get(event.at // 1000, 0) + n

    def _ordered(self, event: Happened, d: dict[str, Any]) -> None:
        sale, hold = self.sales[event.sale], self.holds[d["hold"]]
        amount = Price(sale.price.amount * hold.quantity, sale.price.currency)
        self.orders[d["order"]] = OrderRow(
            d["order"],
            hold.id,
            event.sale,
            hold.buyer_id,
            hold.quantity,
            hold.units,
            amount,
            "captured",
            event.at,
            event.position,
        )
        self.holds[hold.id] = msgspec.structs.replace(hold, status="confirmed", settled_at=event.at)
        self._change(
            event.sale,
            held=sale.held - hold.quantity,
            sold=sale.sold + hold.quantity,
            orders=sale.orders + 1,
        )
        self._count("orders", event.at)

    def _released(self, event: Happened, d: dict[str, Any]) -> None:
        sale, hold = self.sales[event.sale], self.holds[d["hold"]]
        self.holds[hold.id] = msgspec.structs.replace(hold, status="released", settled_at=event.at)
        self._change(
            event.sale,
            held=sale.held - hold.quantity,
            available=sale.available + hold.quantity,
            released=sale.released + 1,
        )
        self._count("released", event.at)

    def _said(self, event: Happened, d: dict[str, Any]) -> None:
        said = self.messages[event.sale]
        row = MessageRow(d["message"], len(said) + 1, event.by, d["name"], "buyer", event.text, event.at)
        said.append(row)
        room = self.rooms[event.sale]
        self.rooms[event.sale] = msgspec.structs.replace(room, messages=room.messages + 1, last_at=event.at)
        self._count("messages", event.at)

    def _moderated(self, event: Happened, d: dict[str, Any]) -> None:
        room = self.rooms[event.sale]
        match d["action"]:
            case "delete":
                said = self.messages[event.sale]
                for index, row in enumerate(said):
                    if row.id == d["target"]:
                        said[index] = msgspec.structs.replace(row, text="", deleted=True)
                room = msgspec.structs.replace(room, deleted=room.deleted + 1)
            case "mute" | "unmute" as what:
                room = msgspec.structs.replace(room, muted=max(0, room.muted + (1 if what == "mute" else -1)))
            case "ban" | "unban" as what:
                room = msgspec.structs.replace(
                    room, banned=max(0, room.banned + (1 if what == "ban" else -1))
                )
            case "lock" | "unlock" as what:
                room = msgspec.structs.replace(room, locked=what == "lock")
            case "slow_mode":
                room = msgspec.structs.replace(room, slow_ms=1000 * (d["seconds"] or 0))
        self.rooms[event.sale] = room


class SimulatedLog:
    """The events of one simulated cell, by seed and time: the same for the same arguments, action by action."""

    def __init__(
        self, cell: str, number: int, *, seed: int, start: int, pace: float, past_s: int, sales: int
    ) -> None:
        """`pace`: events a second; `past_s`: seconds of history that are there at the start."""
        self.cell = cell
        self.events: list[Happened] = []
        self.state = Folded()
        self._seed = f"{seed}/{cell}"
        self._pace = pace
        self._second = start // 1000 - past_s
        self._made = 0
        self._number = number
        self._draft(sales, (self._second - 3600) * 1000)

    def _draft(self, sales: int, at: int) -> None:
        chance = random.Random(self._seed)
        for index in range(sales):
            title, state = TITLES[(self._number + index) % len(TITLES)]
            sale, stock = self.new_id("sal", at), chance.choice((200, 500, 1000, 5000))
            merchant, product = self.new_id("mer", at), self.new_id("prd", at)
            data = {
                "merchant": merchant,
                "product": product,
                "title": title,
                "price": chance.randrange(500, 20_000, 10),
                "stock": stock,
            }
            self.append("drafted", sale, merchant, f"{title}, {stock} units", data, at)
            steps = {"draft": (), "armed": ("arm",), "open": ("open",), "paused": ("open", "pause")}
            for what in steps.get(state, ("open", "end")):
                self.move(sale, what, "ana", "as planned", at + 1000)

    def new_id(self, prefix: str, at: int) -> str:
        """Return the next identifier of this cell."""
        self._made += 1
        return ident(prefix, self._number, at, self._made)

    def append(self, type_: str, sale: str, by: str, text: str, data: dict[str, Any], at: int) -> Happened:
        """Add an event and fold it in."""
        event = Happened(len(self.events) + 1, at, type_, sale, by, text, data)
        self.events.append(event)
        self.state.apply(event)
        return event

    def move(self, sale: str, what: str, by: str, reason: str, at: int) -> None:
        """Take a sale into another state; whether it may go there is the caller's to know."""
        data = {"state": STEPS[what][1], "what": what, "reason": reason}
        self.append("moved", sale, by, f"{what}: {reason}", data, at)

    def grow(self, now: int) -> None:
        """Let everything happen that has happened by now."""
        while self._second < now // 1000:
            chance = random.Random(f"{self._seed}/{self._second}")
            for index in range(self._events(chance)):
                self._happen(chance, self._second * 1000 + 20 * index)
            self._second += 1

    def _events(self, chance: random.Random) -> int:
        whole = int(self._pace)
        return max(0, whole + chance.randint(-whole // 3, whole // 3)) + (
            chance.random() < self._pace - whole
        )

    def _happen(self, chance: random.Random, at: int) -> None:
        open_ = [sale for sale in self.state.sales.values() if sale.state == "open"]
        if not open_:
            return
        sale, (buyer, name), dice = chance.choice(open_), chance.choice(BUYERS), chance.random()
        held = [hold for hold in list(self.state.holds.values())[-40:] if hold.status == "held"]
        if dice < 0.5 and sale.available >= 2:
            quantity = chance.randint(1, 2)
            data = {"hold": self.new_id("hld", at), "quantity": quantity}
            self.append("held", sale.id, buyer, f"{quantity} units", data, at)
        elif dice < 0.8 and held:
            hold = held[0]
            order = self.new_id("ord", at)
            data = {"hold": hold.id, "order": order}
            self.append("ordered", hold.sale_id, hold.buyer_id, f"order {order}", data, at)
        elif dice < 0.85 and held:
            self.append(
                "released", held[-1].sale_id, held[-1].buyer_id, "given back", {"hold": held[-1].id}, at
            )
        elif not self.state.rooms[sale.id].locked:
            data = {"message": self.new_id("msg", at), "name": name}
            self.append("said", sale.id, buyer, chance.choice(CHATTER), data, at)

    def at(self, position: int) -> Folded:
        """Fold up to a position, from the beginning."""
        folded = Folded()
        for event in self.events[:position]:
            folded.apply(event)
        return folded

    def position_at(self, at: int) -> int:
        """Return the last position that is not after a time."""
        return sum(event.at <= at for event in self.events)
