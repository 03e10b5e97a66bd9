"""The sale's rules as the writer runs them: completing answers with versions and positions, and showing a sale."""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from server.flash_sale import decide as rules
from server.flash_sale.evolve import evolve
from server.flash_sale.model import (
    EVENTS,
    KIND,
    Answer,
    Command,
    Event,
    Granted,
    HoldFound,
    Refusal,
    Sale,
    SaleFound,
    WriterChanged,
)
from server.flash_sale.showing import SaleView

_encode = msgspec.msgpack.Encoder().encode


def view(sale: Sale, version: int, position: int) -> SaleView:
    """Return what anyone may see of a sale."""
    return SaleView(
        id=sale.id,
        merchant_id=sale.merchant_id,
        product_id=sale.product_id,
        title=sale.title,
        state=sale.state,
        stock=sale.stock,
        available=sale.available,
        held=sale.held,
        sold=sale.sold,
        price=sale.price,
        list_price=sale.list_price,
        per_buyer_limit=sale.per_buyer_limit,
        hold_seconds=sale.hold_seconds,
        starts_at=sale.starts_at,
        ends_at=sale.ends_at,
        version=version,
        position=position,
        revision=sale.revision,
        throttle=sale.throttle,
    )


class SaleRules:
    """`HotRules` of the sale."""

    kind = KIND
    registry = EVENTS

    def initial(self, positions: Sequence[int]) -> Sale:  # noqa: ARG002 - a sale's rules know versions only
        """Return a sale that does not exist."""
        return Sale()

    def decide(self, state: Sale, command: Command, now: int) -> tuple[list[Event], rules.Reply]:
        """Decide one command."""
        return rules.decide(state, command, now)

    def evolve(self, state: Sale, event: Event, version: int) -> None:
        """Apply one event in place."""
        evolve(state, event, version)

    def tick(self, state: Sale, now: int) -> list[Event]:
        """Return what the clock brings about."""
        return rules.tick(state, now)

    def due(self, state: Sale) -> int | None:
        """Return when `tick` is due."""
        return rules.due(state)

    def taken_over(self, term: int, writer: str) -> WriterChanged:
        """Return the event that fences earlier writers."""
        return WriterChanged(term, writer)

    def idle(self, state: Sale) -> bool:
        """Tell whether the sale is over for good."""
        return rules.idle(state)

    def answer(self, state: Sale, reply: rules.Reply, version: int, positions: Sequence[int]) -> Answer:
        """Complete a reply. A repeated grant keeps the version and position of its own commit."""
        match reply:
            case Granted():
                reply.version = reply.version or version
                reply.position = positions[reply.version - 1]
                return reply
            case HoldFound():
                reply.version, reply.position = version, positions[-1]
                return reply
            case None:
                shown = view(state, version, positions[-1])
                return SaleFound(msgspec.Raw(_encode(shown)), version, positions[-1])
            case Refusal():
                return reply
            case _:
                assert_never(reply)

    def refuse(self, code: str, detail: str) -> Refusal:
        """Return a refusal of the writer."""
        return Refusal(code, detail, 1000)
