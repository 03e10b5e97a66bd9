"""What people do in rooms and conversations: who they are there, and what is asked of the writer for them."""

from typing import TypeVar

import msgspec

from cells.engine.client import WriterClient
from cells.engine.handle import load
from cells.kernel.chance import fresh
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.kernel.ids import BadId, is_id, parse, slot_in
from cells.log.port import Log
from server.catalogue.decide import DECIDER as PRODUCT
from server.catalogue.model import Product
from server.chat import read, wire
from server.chat.commands import (
    Answer,
    Command,
    CursorsMoved,
    Moderated,
    ModerationShown,
    OpenConversation,
    Opened,
    Posted,
    PostMessage,
    Refusal,
    Seen,
)
from server.chat.decide import is_conversation
from server.chat.identity import conversation_id
from server.chat.model import Role
from server.flash_sale import read as sales
from server.flash_sale.showing import SaleView
from server.flash_sale.views import SaleViews
from server.orders import read as orders
from server.store.waiting import Projected

CATCH_UP_SECONDS = 1.0

T = TypeVar("T", Opened, Posted, Moderated, CursorsMoved, Seen, ModerationShown)

_NO_SUBJECT = "There is no such product, order, sale or merchant, or it is not yours."


class Topic(msgspec.Struct, frozen=True):
    """What a conversation is about, and between whom."""

    buyer_id: str
    buyer_name: str
    merchant_id: str
    subject: str
    title: str

    @property
    def id(self) -> str:
        """The one conversation about it."""
        return conversation_id(self.buyer_id, self.merchant_id, self.subject)


class ChatDesk:
    """Runs requests about channels. Every method raises `Rejected`.

    `views` is asked only for what never changes of a sale, so it need not hear of changes.
    """

    def __init__(
        self,
        writer: WriterClient[Command, Answer],
        views: SaleViews,
        log: Log,
        projected: Projected,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._views = views
        self._log = log
        self._projected = projected
        self._clock = clock

    async def role(self, key: str, user: str, *, operator: bool = False) -> Role:
        """Return what a person is in a channel. Raises `Rejected` (not_found) when there is no such sale."""
        sale = None if is_conversation(key) else await self._sale(key)
        if operator:
            return "operator"
        merchant = user.startswith("mer_") if sale is None else user == sale.merchant_id
        return "merchant" if merchant else "buyer"

    async def _sale(self, sale_id: str) -> SaleView:
        if not is_id("sal", sale_id):
            raise Rejected("not_found", "There is no such sale.")
        try:
            found = await self._views.get(sale_id)
        except Rejected:
            found = await sales.find_sale(sale_id)
            if found is None:
                raise
        if found is None:
            raise Rejected("not_found", "There is no such sale.")
        return found

    # --- opening -----------------------------------------------------------------------------------------------

    async def topic(self, user: str, name: str, subject: str) -> Topic:
        """Find out between whom a conversation about a product, an order, a sale or with a merchant would be."""
        try:
            prefix = parse(subject).prefix
        except BadId:
            raise Rejected("not_found", _NO_SUBJECT) from None
        if prefix == "ord":
            return await self._about_order(user, name, subject)
        if not user.startswith("usr_"):
            raise Rejected("forbidden", "A merchant opens a conversation from an order of its own.")
        merchant_id, title = "", ""
        if prefix == "prd":
            product = (await load(self._log, PRODUCT, slot_in(subject), subject)).state
            if isinstance(product, Product):
                merchant_id, title = product.merchant_id, product.title
        elif prefix == "sal":
            sale = await self._sale(subject)
            merchant_id, title = sale.merchant_id, sale.title
        elif prefix == "mer" and await read.is_merchant(subject):
            merchant_id, subject = subject, ""
        if not merchant_id:
            raise Rejected("not_found", _NO_SUBJECT)
        return Topic(user, name, merchant_id, subject, title)

    async def _about_order(self, user: str, name: str, order_id: str) -> Topic:
        order = await orders.find_order(order_id, user)
        if order is None:
            info = await self._log.info()
            if info is not None and await self._projected.reached(info.last, CATCH_UP_SECONDS):
                order = await orders.find_order(order_id, user)
        if order is None:
            raise Rejected("not_found", _NO_SUBJECT)
        buyer_name = name if user == order.buyer_id else ""
        return Topic(order.buyer_id, buyer_name, order.merchant_id, order_id, order.title)

    async def open(self, topic: Topic) -> Opened:
        """Open a conversation, or find the one that was opened before."""
        command = OpenConversation(
            topic.id, topic.buyer_id, topic.merchant_id, topic.subject, topic.title, topic.buyer_name
        )
        return await self.do(command, Opened)

    # --- talking -----------------------------------------------------------------------------------------------

    def message(self, key: str, user: str, name: str, role: Role, text: str, client_key: str) -> PostMessage:
        """Say something; the same client key again is the same message. Raises `Rejected` (not_found)."""
        try:
            message_id = fresh("msg", slot_in(key), self._clock)
        except BadId:
            raise Rejected("not_found", "There is no such channel.") from None
        return PostMessage(key, message_id, user, name, role, text, wire.key_digest(user, client_key))

    async def ask(self, command: Command, deadline_ms: int) -> Answer:
        """Return the writer's answer, a refusal too."""
        return await self._writer.ask(command, deadline_ms)

    async def do(self, command: Command, kind: type[T]) -> T:
        """Return the writer's answer, of the kind that belongs to the command."""
        answer = await self._writer.ask(command)
        if isinstance(answer, Refusal):
            raise Rejected(answer.code, answer.detail, retry_after_ms=answer.retry_after_ms)
        if not isinstance(answer, kind):
            msg = f"{type(command).__name__} was answered with {type(answer).__name__}"
            raise TypeError(msg)
        return answer
