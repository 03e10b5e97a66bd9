"""Auditing a sale from its log alone: an independent count that shares no arithmetic with the fold."""

from collections.abc import Iterable

import msgspec

from server.flash_sale.model import (
    Event,
    HoldConfirmed,
    HoldExpired,
    HoldReleased,
    SaleDrafted,
    SaleMoved,
    UnitsHeld,
)


class Audit(msgspec.Struct):
    """What the log says. Counts are units, but for `holds_*`.

    `oversold` counts units beyond the stock, at the worst moment; `duplicate_units` counts times that a unit was
    given out while another had it; `over_limit` counts buyers who at any moment had more than the limit.
    """

    sale_id: str = ""
    stock: int = 0
    per_buyer_limit: int = 0
    held: int = 0
    confirmed: int = 0
    released: int = 0
    expired: int = 0
    oversold: int = 0
    duplicate_units: int = 0
    over_limit: int = 0
    holds: int = 0
    orders: int = 0
    position: int = 0
    version: int = 0


class Auditor:
    """Reads events in order and keeps who has which unit."""

    def __init__(self) -> None:
        self.audit = Audit()
        self._owner: dict[int, str] = {}
        self._live: dict[str, UnitsHeld] = {}
        self._taken: dict[str, int] = {}
        self._over: set[str] = set()

    def read(self, events: Iterable[Event], version: int, position: int) -> None:
        """Take in one commit."""
        for event in events:
            self._one(event)
        self.audit.version, self.audit.position = version, position

    def _one(self, event: Event) -> None:
        audit = self.audit
        match event:
            case SaleDrafted():
                audit.sale_id, audit.stock = event.sale_id, event.stock
                audit.per_buyer_limit = event.per_buyer_limit
            case UnitsHeld():
                self._hold(event)
            case HoldConfirmed():
                audit.orders += 1
                units = len(self._live.pop(event.hold_id).units)
                audit.confirmed += units
                audit.held -= units
            case HoldReleased():
                audit.released += self._give_back(event.hold_id)
            case HoldExpired():
                audit.expired += self._give_back(event.hold_id)
            case SaleMoved(state="killed"):
                for hold_id in list(self._live):
                    audit.released += self._give_back(hold_id)
            case _:
                pass

    def _hold(self, event: UnitsHeld) -> None:
        audit = self.audit
        audit.holds += 1
        audit.held += len(event.units)
        self._live[event.hold_id] = event
        for unit in event.units:
            if unit in self._owner or not 1 <= unit <= audit.stock:
                audit.duplicate_units += 1
            self._owner[unit] = event.hold_id
        taken = self._taken.get(event.buyer_id, 0) + len(event.units)
        self._taken[event.buyer_id] = taken
        if taken > audit.per_buyer_limit:
            self._over.add(event.buyer_id)
            audit.over_limit = len(self._over)
        audit.oversold = max(audit.oversold, audit.held + audit.confirmed - audit.stock)

    def _give_back(self, hold_id: str) -> int:
        hold = self._live.pop(hold_id)
        for unit in hold.units:
            if self._owner.get(unit) == hold_id:
                del self._owner[unit]
        self._taken[hold.buyer_id] -= len(hold.units)
        self.audit.held -= len(hold.units)
        return len(hold.units)
