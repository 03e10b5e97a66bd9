"""Rooms of sales over HTTP."""

from typing import Annotated

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id
from server.chat.bodies import MessagePage, MessageView, Moderated, Moderation, NewMessage, RoomModeration
from server.chat.desk import ChatDesk
from server.chat.history import History
from server.chat.requests import POST, WRITE, Asked, moderate, moderation, page, say
from server.web import cursors
from server.web.auth import BEARER, requires
from server.web.body import Json
from server.web.idempotent_http import IdempotencyKey
from server.web.paging import Before, Limit
from server.web.problem import refusals

SaleId = Annotated[str, Parameter(max_length=64)]


def handlers(desk: ChatDesk, history: History, clock: Clock) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""

    @get(
        "/api/v1/rooms/{sale_id:str}/messages",
        responses=refusals("not_found"),
        operation_id="listRoomMessages",
        tags=["chat"],
    )
    async def list_room_messages(
        sale_id: SaleId, before: Before = None, limit: Limit = cursors.DEFAULT_LIMIT
    ) -> MessagePage:
        """Return messages of a sale's room, the newest page first."""
        await desk.role(_room(sale_id), "")
        return await page(history, sale_id, before, limit)

    @post(
        "/api/v1/rooms/{sale_id:str}/messages",
        dto=Json[NewMessage],
        guards=[requires("buyer", "merchant")],
        security=BEARER,
        responses=refusals(*POST),
        operation_id="postRoomMessage",
        tags=["chat"],
    )
    async def post_room_message(
        request: Asked, sale_id: SaleId, data: NewMessage, idempotency_key: IdempotencyKey = None
    ) -> Response[MessageView]:
        """Say something in a sale's room."""
        role = await desk.role(_room(sale_id), request.user.id)
        return await say(desk, sale_id, request.user, role, data.text, idempotency_key)

    @post(
        "/api/v1/rooms/{sale_id:str}/moderate",
        status_code=200,
        dto=Json[Moderation],
        guards=[requires("buyer", "merchant", "operator")],
        security=BEARER,
        responses=refusals(*WRITE),
        operation_id="moderateRoom",
        tags=["chat"],
    )
    async def moderate_room(request: Asked, sale_id: SaleId, data: Moderation) -> Moderated:
        """Moderate a sale's room: its merchant, and operators."""
        role = await desk.role(_room(sale_id), request.user.id, operator=request.user.is_operator)
        return await moderate(desk, clock, sale_id, request.user, role, data)

    @get(
        "/api/v1/rooms/{sale_id:str}/moderation",
        guards=[requires("merchant", "operator")],
        security=BEARER,
        responses=refusals(*WRITE),
        operation_id="getRoomModeration",
        tags=["chat"],
    )
    async def get_room_moderation(request: Asked, sale_id: SaleId) -> RoomModeration:
        """Say who is muted or banned, which words are blocked, and what else holds: to its merchant and operators."""
        role = await desk.role(_room(sale_id), request.user.id, operator=request.user.is_operator)
        if role == "buyer":
            raise Rejected("forbidden", "Only its merchant and operators see how a room is moderated.")
        return await moderation(desk, sale_id)

    return list_room_messages, post_room_message, moderate_room, get_room_moderation


def _room(sale_id: str) -> str:
    if not is_id("sal", sale_id):
        raise Rejected("not_found", "There is no such sale.")
    return sale_id
