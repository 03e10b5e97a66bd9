"""What a batch of a sale's commits comes to, as rows and as changes of rows that earlier batches wrote."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from cells.engine.project import Recorded
from server.flash_sale.model import (
    HoldConfirmed,
    HoldExpired,
    HoldReleased,
    HoldStatus,
    SaleDrafted,
    SaleMoved,
    SaleThrottled,
    UnitsHeld,
    WriterChanged,
)


class NewHold(msgspec.Struct):
    """A hold granted in this batch, as it stands at its end."""

    id: str
    sale_id: str
    buyer_id: str
    units: tuple[int, ...]
    status: HoldStatus
    expires_at: int
    created_at: int
    settled_at: int
    version: int
    position: int


class Settled(msgspec.Struct, frozen=True):
    """The end of a hold that an earlier batch granted."""

    hold_id: str
    status: HoldStatus
    at: int


class SaleChange(msgspec.Struct):
    """How a sale changed. `state` is empty when it stayed. Units of holds in `Changes.settled` are not counted."""

    version: int
    position: int
    state: str = ""
    held: int = 0
    sold: int = 0
    killed_at: int | None = None


class Changes(msgspec.Struct):
    """The outcome of a batch. `drafted` sales get their state and counts from `sales`."""

    drafted: dict[str, SaleDrafted] = {}
    sales: dict[str, SaleChange] = {}
    holds: dict[str, NewHold] = {}
    settled: dict[str, Settled] = {}


def fold(batch: Sequence[Recorded]) -> Changes:
    """Fold commits of sales, in the order of the log."""
    changes = Changes()
    for commit in batch:
        sale = changes.sales.get(commit.key)
        if sale is None:
            sale = changes.sales[commit.key] = SaleChange(commit.version, commit.position)
        sale.version, sale.position = commit.version, commit.position
        for event in commit.events:
            _APPLY[type(event)](changes, sale, commit, event)
    return changes


def _drafted(changes: Changes, sale: SaleChange, _commit: Recorded, event: SaleDrafted) -> None:
    changes.drafted[event.sale_id] = event
    sale.state = "draft"


def _moved(changes: Changes, sale: SaleChange, commit: Recorded, event: SaleMoved) -> None:
    sale.state = event.state
    if event.state != "killed":
        return
    sale.killed_at = event.at
    for hold in changes.holds.values():
        if hold.sale_id == commit.key and hold.status is HoldStatus.HELD:
            hold.status, hold.settled_at = HoldStatus.RELEASED, event.at
            sale.held -= len(hold.units)


def _held(changes: Changes, sale: SaleChange, commit: Recorded, event: UnitsHeld) -> None:
    changes.holds[event.hold_id] = NewHold(
        event.hold_id,
        commit.key,
        event.buyer_id,
        event.units,
        HoldStatus.HELD,
        event.expires_at,
        event.at,
        0,
        commit.version,
        commit.position,
    )
    sale.held += len(event.units)


def _confirmed(changes: Changes, sale: SaleChange, _commit: Recorded, event: HoldConfirmed) -> None:
    _settle(changes, sale, event.hold_id, HoldStatus.CONFIRMED, event.at)


def _released(changes: Changes, sale: SaleChange, _commit: Recorded, event: HoldReleased) -> None:
    _settle(changes, sale, event.hold_id, HoldStatus.RELEASED, event.at)


def _expired(changes: Changes, sale: SaleChange, _commit: Recorded, event: HoldExpired) -> None:
    _settle(changes, sale, event.hold_id, HoldStatus.EXPIRED, event.at)


def _settle(changes: Changes, sale: SaleChange, hold_id: str, status: HoldStatus, at: int) -> None:
    hold = changes.holds.get(hold_id)
    if hold is None:
        changes.settled[hold_id] = Settled(hold_id, status, at)
        return
    hold.status, hold.settled_at = status, at
    sale.held -= len(hold.units)
    if status is HoldStatus.CONFIRMED:
        sale.sold += len(hold.units)


def _unchanged(
    _changes: Changes, _sale: SaleChange, _commit: Recorded, _event: SaleThrottled | WriterChanged
) -> None:
    """Only the version moves."""


_APPLY: dict[type[Any], Callable[[Changes, SaleChange, Recorded, Any], None]] = {
    SaleDrafted: _drafted,
    SaleMoved: _moved,
    SaleThrottled: _unchanged,
    UnitsHeld: _held,
    HoldConfirmed: _confirmed,
    HoldReleased: _released,
    HoldExpired: _expired,
    WriterChanged: _unchanged,
}
