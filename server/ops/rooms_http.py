"""Rooms as operators see and moderate them. Messages as of now come from the chat itself, and so do moderations."""

from datetime import datetime
from typing import cast

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from cells.kernel.chance import fresh
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id, slot_in
from cells.log.port import Log
from realtime.events import Event
from server.chat.bodies import Moderated, Moderation
from server.chat.desk import ChatDesk
from server.chat.frames import MessageBody
from server.chat.history import History
from server.chat.requests import moderate
from server.ops import asks, words
from server.ops.ask import Observer
from server.ops.parameters import AUTH, WRITE, Asked, At, AtPosition, SaleId, for_
from server.web import cursors
from server.web.body import JSON, Json
from server.web.idempotency import Answer, Idempotency
from server.web.idempotent_http import IdempotencyKey, answer, demanded, same_request
from server.web.paging import Before, Limit
from server.web.problem import refusals

_decode_message = msgspec.json.Decoder(MessageBody).decode


class Talk(msgspec.Struct, frozen=True):
    """What the rooms are read and moderated with."""

    desk: ChatDesk
    history: History
    log: Log
    idempotency: Idempotency
    clock: Clock


def handlers(observer: Observer, talk: Talk) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""
    return (*_reading(observer, talk), _moderating(talk))


def _reading(observer: Observer, talk: Talk) -> tuple[HTTPRouteHandler, ...]:
    @get("/api/v1/ops/rooms", responses=refusals(*AUTH), operation_id="opsListRooms", **for_("viewer"))
    async def list_rooms(
        at: At = None, position: AtPosition = None, limit: Limit = cursors.DEFAULT_LIMIT
    ) -> Response[words.Rooms]:
        """Return the rooms of sales, the last spoken in first."""
        found = await observer.ask(asks.AskRooms(at=at, position=position, limit=limit))
        return cast("Response[words.Rooms]", Response(found, media_type=JSON))

    @get(
        "/api/v1/ops/rooms/{sale_id:str}/messages",
        responses=refusals(*AUTH, "not_found"),
        operation_id="opsListRoomMessages",
        **for_("viewer"),
    )
    async def list_messages(
        sale_id: SaleId,
        at: At = None,
        position: AtPosition = None,
        before: Before = None,
        limit: Limit = cursors.DEFAULT_LIMIT,
    ) -> Response[words.Messages]:
        """Return messages of a room, the newest first. As of a moment: of the 100 that were the newest then."""
        _room(sale_id)
        if at is None and position is None:
            return Response(await _messages(talk, sale_id, before, limit))
        question = asks.AskMessages(room=sale_id, at=at, position=position, before=before, limit=limit)
        return cast("Response[words.Messages]", Response(await observer.ask(question), media_type=JSON))

    return list_rooms, list_messages


def _moderating(talk: Talk) -> HTTPRouteHandler:
    @post(
        "/api/v1/ops/rooms/{sale_id:str}/moderate",
        status_code=200,
        dto=Json[Moderation],
        responses=refusals(*WRITE),
        operation_id="opsModerateRoom",
        **for_("operator"),
    )
    async def moderate_room(
        request: Asked, sale_id: SaleId, data: Moderation, idempotency_key: IdempotencyKey = None
    ) -> Response[Moderated]:
        """Moderate a room. A repeat with the same key is not decided anew: a mute is not prolonged."""
        key, actor = demanded(idempotency_key), request.user
        role = await talk.desk.role(_room(sale_id), actor.id, operator=True)

        async def work(_: str) -> Answer:
            done = await moderate(talk.desk, talk.clock, sale_id, actor, role, data)
            return Answer(200, msgspec.json.encode(done))

        same = await same_request(request, key)
        work_id = fresh("msg", slot_in(actor.id), talk.clock)
        return cast("Response[Moderated]", answer(await talk.idempotency.run(same, work_id, work)))

    return moderate_room


def _room(sale_id: str) -> str:
    if not is_id("sal", sale_id):
        raise Rejected("not_found", "There is no such sale.")
    return sale_id


async def _messages(talk: Talk, sale_id: str, before: int | None, limit: int) -> words.Messages:
    await talk.desk.role(sale_id, "", operator=True)
    info = await talk.log.info()
    events, _ = await talk.history.before(sale_id, before, limit, messages=True)
    rows = [_row(sale_id, event) for event in reversed(events)]
    return words.Messages(rows, info.last if info is not None else 0)


def _row(sale_id: str, event: Event) -> words.MessageRow:
    body = _decode_message(event.d)
    author = body.author
    return words.MessageRow(
        id=body.id,
        room=sale_id,
        s=event.s,
        user=author.id if author else "",
        name=author.name if author else "",
        role=author.role if author else "",
        text=body.text,
        at=round(datetime.fromisoformat(body.at).timestamp() * 1000),
        deleted=False,
    )
