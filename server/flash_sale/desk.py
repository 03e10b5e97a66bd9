"""What clients do with sales and holds, short of holding: asked of the writer, of the log, of the read model."""

import asyncio

import msgspec

from cells.engine.handle import load
from cells.kernel import envelope
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id, slot_in
from cells.log import subjects
from cells.log.port import Log, Stored
from server.catalogue.decide import DECIDER as PRODUCT
from server.catalogue.model import Absent
from server.flash_sale import read
from server.flash_sale.audit import Audit, Auditor
from server.flash_sale.bodies import NewSale, millis
from server.flash_sale.model import (
    EVENTS,
    KIND,
    Command,
    DraftSale,
    FindHold,
    HoldFound,
    MoveSale,
    Refusal,
    ReleaseHold,
    SaleFound,
    Step,
    ThrottleSale,
)
from server.flash_sale.ports import Sales, accepted
from server.flash_sale.showing import SaleView
from server.flash_sale.views import SaleViews
from server.web.auth import Actor

_decode_view = msgspec.msgpack.Decoder(SaleView).decode

_NO_SALE = "There is no such sale."
_NO_HOLD = "There is no such hold, or it is not yours."


class SaleDesk:
    """Runs the shop's requests about sales. Every method raises `Rejected`."""

    def __init__(self, sales: Sales, views: SaleViews, log: Log) -> None:
        self._sales = sales
        self._views = views
        self._log = log

    async def draft(self, merchant_id: str, sale_id: str, wanted: NewSale) -> SaleView:
        """Make a sale of a merchant's own product."""
        starts_at, ends_at = millis(wanted.starts_at), millis(wanted.ends_at)
        if starts_at is not None and ends_at is not None and ends_at <= starts_at:
            raise Rejected("bad_request", "ends_at has to be after starts_at.")
        list_price = None
        if is_id("prd", wanted.product_id):
            product = (await load(self._log, PRODUCT, slot_in(wanted.product_id), wanted.product_id)).state
            if not isinstance(product, Absent) and product.merchant_id == merchant_id:
                list_price = product.price
        if list_price is None:
            raise Rejected("not_found", "There is no such product of yours.")
        if list_price.currency != wanted.price.currency:
            raise Rejected(
                "bad_request", f"The price has to be in {list_price.currency}, as the product's is."
            )
        return await self._sale(
            DraftSale(
                sale_id,
                merchant_id,
                wanted.product_id,
                wanted.title,
                wanted.price,
                list_price,
                wanted.stock,
                wanted.per_buyer_limit,
                wanted.hold_seconds,
                starts_at,
                ends_at,
            )
        )

    async def move(
        self,
        actor: Actor,
        sale_id: str,
        step: Step,
        reason: str,
        command_id: str,
        expected_revision: int | None = None,
    ) -> SaleView:
        """Take a step of a sale's life; repeating it with the same `command_id` changes nothing."""
        if not is_id("sal", sale_id):
            raise Rejected("not_found", _NO_SALE)
        merchant_id, name = ("", actor.name) if actor.is_operator else (actor.id, "")
        return await self._sale(
            MoveSale(sale_id, command_id, step, actor.id, merchant_id, reason, name, expected_revision)
        )

    async def throttle(
        self,
        operator: Actor,
        sale_id: str,
        per_second: int | None,
        reason: str,
        command_id: str,
        expected_revision: int | None = None,
    ) -> SaleView:
        """Limit the holds that a sale grants in a second, or lift the limit; repeatable like `move`."""
        if not is_id("sal", sale_id):
            raise Rejected("not_found", _NO_SALE)
        return await self._sale(
            ThrottleSale(
                sale_id, command_id, per_second, operator.id, reason, operator.name, expected_revision
            )
        )

    async def _sale(self, command: Command) -> SaleView:
        answer = accepted(await self._sales.ask(command))
        if not isinstance(answer, SaleFound):
            msg = f"{type(command).__name__} was answered with {type(answer).__name__}"
            raise TypeError(msg)
        return _decode_view(answer.view)

    async def get(self, sale_id: str) -> SaleView:
        """Return a sale; from the read model when no writer answers."""
        if not is_id("sal", sale_id):
            raise Rejected("not_found", _NO_SALE)
        try:
            found = await self._views.get(sale_id)
        except Rejected:
            found = await read.find_sale(sale_id)
            if found is None:
                raise
        if found is None:
            raise Rejected("not_found", _NO_SALE)
        return found

    def freshen(self, projected: SaleView) -> SaleView:
        """Return the newer of a listed sale and what the writer last showed."""
        heard = self._views.peek(projected.id)
        return heard if heard is not None and heard.version > projected.version else projected

    async def find_hold(self, hold_id: str, buyer_id: str) -> HoldFound:
        """Return a buyer's hold as it stands."""
        return await self._hold(FindHold("", hold_id, buyer_id))

    async def release(self, hold_id: str, buyer_id: str) -> HoldFound:
        """Give a buyer's hold back."""
        return await self._hold(ReleaseHold("", hold_id, buyer_id))

    async def _hold(self, command: FindHold | ReleaseHold) -> HoldFound:
        if not is_id("hld", command.hold_id):
            raise Rejected("not_found", _NO_HOLD)
        answer = await self._sales.ask(command)
        if isinstance(answer, Refusal) and answer.code == "not_found":
            # Its sale may be over, and out of the writer's memory.
            sale_id = await read.sale_of_hold(command.hold_id)
            if sale_id is None:
                raise Rejected("not_found", _NO_HOLD)
            answer = await self._sales.ask(msgspec.structs.replace(command, sale_id=sale_id))
        found = accepted(answer)
        if not isinstance(found, HoldFound):
            msg = f"{type(command).__name__} was answered with {type(found).__name__}"
            raise TypeError(msg)
        return found

    async def audit(self, actor: Actor, sale_id: str) -> Audit:
        """Count a sale from its log, for its merchant and for operators."""
        view = await self.get(sale_id)
        if not actor.is_operator and actor.id != view.merchant_id:
            raise Rejected("not_found", _NO_SALE)
        auditor = Auditor()
        async for batch in self._log.read(subjects.subject(slot_in(sale_id), KIND, sale_id)):
            # A large sale takes seconds of work; other requests go on meanwhile.
            await asyncio.to_thread(_read, auditor, batch)
        return auditor.audit


def _read(auditor: Auditor, batch: list[Stored]) -> None:
    for stored in batch:
        commit = envelope.decode(EVENTS, stored.body)
        auditor.read(commit.events, commit.version, stored.position)
