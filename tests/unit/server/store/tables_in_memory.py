"""What the projections' SQL does to rows, in memory: the second adapter of the same changes."""

from collections.abc import Sequence

import msgspec

from cells.engine.project import Recorded
from server.flash_sale import fold as sales
from server.flash_sale.model import HoldStatus
from server.orders import fold as orders


class SaleLine(msgspec.Struct):
    merchant_id: str
    title: str
    state: str = "draft"
    held: int = 0
    sold: int = 0
    version: int = 0
    position: int = 0


class MemoryTables:
    """Sales, holds, orders and payments by their keys."""

    def __init__(self) -> None:
        self.sales: dict[str, SaleLine] = {}
        self.holds: dict[str, sales.NewHold] = {}
        self.orders: dict[str, tuple[object, ...]] = {}
        self.payments: dict[str, tuple[str, int]] = {}

    def apply(self, batch: Sequence[Recorded]) -> None:
        self._apply_sales(sales.fold([r for r in batch if r.kind == "sale"]))
        found = orders.fold([r for r in batch if r.kind in ("sale", "pay")])
        for placed in found.placed:
            hold = self.holds[placed.hold_id]
            self.orders[placed.order_id] = (
                hold.buyer_id,
                hold.units,
                hold.sale_id,
                placed.at,
                placed.position,
            )
        self.payments |= found.payments

    def _apply_sales(self, changes: sales.Changes) -> None:
        for drafted in changes.drafted.values():
            self.sales[drafted.sale_id] = SaleLine(drafted.merchant_id, drafted.title)
        assert not self.holds.keys() & changes.holds.keys()
        self.holds |= changes.holds
        for end in changes.settled.values():
            hold = self.holds[end.hold_id]
            hold.status, hold.settled_at = end.status, end.at
            self._leave(changes.sales[hold.sale_id], hold)
        for sale_id, change in changes.sales.items():
            if change.killed_at is not None:
                for hold in self.holds.values():
                    if hold.sale_id == sale_id and hold.status is HoldStatus.HELD:
                        hold.status, hold.settled_at = HoldStatus.RELEASED, change.killed_at
                        self._leave(change, hold)
            line = self.sales[sale_id]
            line.state = change.state or line.state
            line.held += change.held
            line.sold += change.sold
            line.version, line.position = change.version, change.position

    def _leave(self, change: sales.SaleChange, hold: sales.NewHold) -> None:
        change.held -= len(hold.units)
        if hold.status is HoldStatus.CONFIRMED:
            change.sold += len(hold.units)
