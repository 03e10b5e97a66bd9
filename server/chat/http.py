"""Conversations over HTTP."""

from typing import Annotated, cast

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from cells.kernel.chance import fresh
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id, slot_in
from server.chat import read, rooms_http
from server.chat.bodies import (
    ConversationPage,
    Cursors,
    MessagePage,
    MessageView,
    Moderated,
    Moderation,
    NewConversation,
    NewMessage,
    OpenedConversation,
    ReadCursor,
)
from server.chat.commands import CursorsMoved, LookAt, MoveCursors, Posted, Seen
from server.chat.desk import ChatDesk
from server.chat.history import History
from server.chat.model import Role
from server.chat.requests import (
    AUTH,
    POST,
    WRITE,
    Asked,
    moderate,
    page,
    say,
    view,
)
from server.store.waiting import Projected
from server.web import cursors
from server.web.auth import BEARER, Actor, demand, requires
from server.web.body import Json
from server.web.idempotency import Answer, Idempotency
from server.web.idempotent_http import IdempotencyKey, answer, same_request
from server.web.paging import AFTER_SECONDS, After, Before, Cursor, Limit
from server.web.problem import refusals

ConversationId = Annotated[str, Parameter(max_length=64)]

_EXISTED = ResponseSpec(
    OpenedConversation, description="It was opened before; the message was said.", generate_examples=False
)
_NO_CONVERSATION = "There is no such conversation, or it is not yours."


def handlers(
    desk: ChatDesk, history: History, idempotency: Idempotency, projected: Projected, clock: Clock
) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""
    return (
        _opening(desk, idempotency, clock),
        _listing(projected),
        *_conversations(desk, history, clock),
        *rooms_http.handlers(desk, history, clock),
    )


def _opening(desk: ChatDesk, idempotency: Idempotency, clock: Clock) -> HTTPRouteHandler:
    @post(
        "/api/v1/conversations",
        dto=Json[NewConversation],
        guards=[requires("buyer", "merchant")],
        security=BEARER,
        responses={200: _EXISTED, **refusals(*POST, "conflict")},
        operation_id="openConversation",
        tags=["chat"],
    )
    async def open_conversation(
        request: Asked, data: NewConversation, idempotency_key: IdempotencyKey = None
    ) -> Response[OpenedConversation]:
        """Open a conversation about a product, an order, a sale or with a merchant; 200 when it exists already."""
        actor, subject = request.user, _only_subject(data)

        async def work(message_id: str) -> Answer:
            topic = await desk.topic(actor.id, actor.name, subject)
            opened = await desk.open(topic)
            message = None
            if data.text is not None:
                role = await desk.role(topic.id, actor.id)
                # The id of the work is the key: done again, it says nothing twice.
                command = desk.message(topic.id, actor.id, actor.name, role, data.text, message_id)
                message = view(await desk.do(command, Posted), actor, role)
            body = OpenedConversation(
                topic.id, topic.buyer_id, topic.merchant_id, topic.subject or None, topic.title, message
            )
            return Answer(201 if opened.created else 200, msgspec.json.encode(body))

        same = await same_request(request, idempotency_key)
        work_id = fresh("msg", slot_in(actor.id), clock)
        return cast("Response[OpenedConversation]", answer(await idempotency.run(same, work_id, work)))

    return open_conversation


def _only_subject(data: NewConversation) -> str:
    named = [
        id_ for id_ in (data.merchant_id, data.product_id, data.order_id, data.sale_id) if id_ is not None
    ]
    if len(named) != 1:
        raise Rejected("bad_request", "Send exactly one of merchant_id, product_id, order_id and sale_id.")
    fitting = (
        is_id("mer", data.merchant_id or "")
        or is_id("prd", data.product_id or "")
        or is_id("ord", data.order_id or "")
        or is_id("sal", data.sale_id or "")
    )
    if not fitting:
        raise Rejected("not_found", "There is no such merchant, product, order or sale.")
    return named[0]


def _listing(projected: Projected) -> HTTPRouteHandler:
    @get(
        "/api/v1/conversations",
        guards=[requires()],
        security=BEARER,
        responses=refusals(*AUTH),
        operation_id="listConversations",
        tags=["chat"],
    )
    async def list_conversations(
        request: Asked, limit: Limit = cursors.DEFAULT_LIMIT, cursor: Cursor = None, after: After = None
    ) -> ConversationPage:
        """Return the caller's conversations, newest activity first."""
        actor = demand(request.user, "buyer", "merchant")
        await projected.demand(after, AFTER_SECONDS)
        side: read.Side = "merchant" if actor.role == "merchant" else "buyer"
        return await read.list_conversations(side, actor.id, limit, cursor)

    return list_conversations


def _conversations(desk: ChatDesk, history: History, clock: Clock) -> tuple[HTTPRouteHandler, ...]:
    @get(
        "/api/v1/conversations/{conversation_id:str}/messages",
        guards=[requires()],
        security=BEARER,
        responses=refusals(*AUTH, "not_found"),
        operation_id="listMessages",
        tags=["chat"],
    )
    async def list_messages(
        request: Asked,
        conversation_id: ConversationId,
        before: Before = None,
        limit: Limit = cursors.DEFAULT_LIMIT,
    ) -> MessagePage:
        """Return messages of a conversation, the newest page first."""
        actor = request.user
        role = await _role(desk, conversation_id, actor)
        await desk.do(LookAt(conversation_id, actor.id, role), Seen)
        return await page(history, conversation_id, before, limit)

    @post(
        "/api/v1/conversations/{conversation_id:str}/messages",
        dto=Json[NewMessage],
        guards=[requires("buyer", "merchant")],
        security=BEARER,
        responses=refusals(*POST),
        operation_id="postMessage",
        tags=["chat"],
    )
    async def post_message(
        request: Asked,
        conversation_id: ConversationId,
        data: NewMessage,
        idempotency_key: IdempotencyKey = None,
    ) -> Response[MessageView]:
        """Say something in a conversation of the caller."""
        role = await _role(desk, conversation_id, request.user)
        return await say(desk, conversation_id, request.user, role, data.text, idempotency_key)

    @post(
        "/api/v1/conversations/{conversation_id:str}/read",
        status_code=200,
        dto=Json[ReadCursor],
        guards=[requires("buyer", "merchant")],
        security=BEARER,
        responses=refusals(*WRITE),
        operation_id="readConversation",
        tags=["chat"],
    )
    async def read_conversation(request: Asked, conversation_id: ConversationId, data: ReadCursor) -> Cursors:
        """Move the caller's read cursor forward; a lower position changes nothing. In the log within a second."""
        _check(conversation_id)
        moved = await desk.do(MoveCursors(conversation_id, request.user.id, 0, data.s), CursorsMoved)
        return Cursors(moved.delivered, moved.read)

    @post(
        "/api/v1/conversations/{conversation_id:str}/moderate",
        status_code=200,
        dto=Json[Moderation],
        guards=[requires("buyer", "merchant", "operator")],
        security=BEARER,
        responses=refusals(*WRITE),
        operation_id="moderateConversation",
        tags=["chat"],
    )
    async def moderate_conversation(
        request: Asked, conversation_id: ConversationId, data: Moderation
    ) -> Moderated:
        """Moderate a conversation: its merchant, and operators."""
        role = await _role(desk, conversation_id, request.user)
        return await moderate(desk, clock, conversation_id, request.user, role, data)

    return list_messages, post_message, read_conversation, moderate_conversation


def _check(conversation_id: str) -> None:
    if not is_id("cnv", conversation_id):
        raise Rejected("not_found", _NO_CONVERSATION)


async def _role(desk: ChatDesk, conversation_id: str, actor: Actor) -> Role:
    _check(conversation_id)
    return await desk.role(conversation_id, actor.id, operator=actor.is_operator)
