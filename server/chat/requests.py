"""What requests about conversations and about rooms have in common."""

import os
from typing import Any, cast

import msgspec
from litestar import Request, Response

from cells.kernel.clock import Clock, rfc3339
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id
from realtime.events import Event
from server.chat.bodies import (
    MessagePage,
    MessageView,
    Moderated,
    Moderation,
    MutedAccount,
    RoomModeration,
)
from server.chat.commands import MAX_SLOW_SECONDS, Moderate, ModerationShown, Posted, ShowModeration
from server.chat.commands import Moderated as Done
from server.chat.desk import ChatDesk
from server.chat.frames import Author, MessageBody
from server.chat.history import History
from server.chat.model import By, Role
from server.web.auth import Actor
from server.web.idempotency import Answer
from server.web.idempotent_http import answer

Asked = Request[Actor, Any, Any]

AUTH = ("unauthenticated", "token_expired", "forbidden")
WRITE = (*AUTH, "not_found", "overloaded", "fenced", "outcome_unknown")
POST = (*WRITE, "key_reused", "banned", "muted", "locked", "slow_mode", "blocked_words")

_PEOPLE = ("mute", "unmute", "ban", "unban")

_decode_message = msgspec.json.Decoder(MessageBody).decode


async def say(
    desk: ChatDesk, key: str, actor: Actor, role: Role, text: str, client_key: str | None
) -> Response[MessageView]:
    """Post a message; without a client key it is a new one every time. Raises `Rejected`."""
    command = desk.message(key, actor.id, actor.name, role, text, client_key or os.urandom(16).hex())
    posted = await desk.do(command, Posted)
    body = msgspec.json.encode(view(posted, actor, role))
    return cast("Response[MessageView]", answer(Answer(201, body, replayed=posted.replayed)))


def view(posted: Posted, actor: Actor, role: Role) -> MessageView:
    """Show a message to its author."""
    author = Author(actor.id, actor.name, role)
    return MessageView(posted.message_id, posted.s, author, posted.text, rfc3339(posted.at))


async def page(history: History, key: str, before: int | None, limit: int) -> MessagePage:
    """Return messages that are not deleted, before a position or the newest. Raises `Rejected`."""
    events, more = await history.before(key, before, limit, messages=True)
    return MessagePage([_shown(event) for event in events], events[0].s if more else None)


def _shown(event: Event) -> MessageView:
    body = _decode_message(event.d)
    return MessageView(body.id, event.s, body.author or Author("", "", "buyer"), body.text, body.at)


async def moderate(
    desk: ChatDesk, clock: Clock, key: str, actor: Actor, role: Role, data: Moderation
) -> Moderated:
    """Have a moderation decided. Raises `Rejected`."""
    _check(data)
    seconds = data.seconds or 0
    until = clock.now() + seconds * 1000 if data.action == "mute" else 0
    by = By(actor.id, role, data.reason, actor.name if actor.is_operator else "")
    words = tuple(data.words or ())
    command = Moderate(key, data.action, by, data.target or "", until, seconds, words)
    return Moderated((await desk.do(command, Done)).changed)


async def moderation(desk: ChatDesk, key: str) -> RoomModeration:
    """Return what moderators have decided in a room. Raises `Rejected`."""
    shown = await desk.do(ShowModeration(key), ModerationShown)
    return RoomModeration(
        key,
        shown.locked,
        shown.slow_seconds,
        list(shown.words),
        [MutedAccount(user, rfc3339(until)) for user, until in shown.muted.items()],
        shown.banned,
        shown.more,
    )


def _check(data: Moderation) -> None:
    target = data.target or ""
    if data.action == "delete":
        fits = is_id("msg", target)
    elif data.action in _PEOPLE:
        fits = is_id("usr", target) or is_id("mer", target)
    else:
        fits = data.target is None
    if not fits:
        raise Rejected("bad_request", f"target is a message for delete, an account for {', '.join(_PEOPLE)}.")
    if (data.seconds is not None) is not (data.action in ("mute", "slow_mode")):
        raise Rejected("bad_request", "seconds belongs to: mute, slow_mode.")
    if (data.words is not None) is not (data.action == "block_words"):
        raise Rejected("bad_request", "words belongs to: block_words.")
    if data.action == "slow_mode" and (data.seconds or 0) > MAX_SLOW_SECONDS:
        raise Rejected("bad_request", f"slow_mode takes at most {MAX_SLOW_SECONDS} seconds.")
