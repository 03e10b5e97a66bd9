"""What hubs ask about rooms and conversations: who may come in, what was said, and what people do there."""

import asyncio

import msgspec

from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id
from cells.log.port import Log, LogUnavailable
from realtime import codes, events
from realtime.events import (
    Ack,
    Act,
    Acts,
    Admission,
    Done,
    Join,
    Outcome,
    Page,
    PageRequest,
    Read,
    Refused,
    Say,
    TopsRequest,
)
from server.chat.commands import Answer, CursorsMoved, LookAt, MoveCursors, Posted, Refusal, Seen
from server.chat.desk import ChatDesk
from server.chat.history import History
from server.chat.responder import Responder

EPOCH_SECONDS = 1.0

_encode = msgspec.json.Encoder().encode
_OPERATORS = ("operator", "admin")
_NOT_NOW = ("unavailable", "overloaded", "fenced", "outcome_unknown")


class Epoch:
    """The log's incarnation, read at most once a second."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._read: tuple[float, str] = (float("-inf"), "")

    async def get(self) -> str:
        """Return it. Raises `LogUnavailable`."""
        now = asyncio.get_running_loop().time()
        if now - self._read[0] >= EPOCH_SECONDS:
            info = await self._log.info()
            if info is None:
                raise LogUnavailable("the stream does not exist")
            self._read = (now, info.epoch)
        return self._read[1]


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """The snapshot of a channel. `cursors` are delivered and read positions by person."""

    slow_seconds: int = 0
    locked: bool = False
    buyer_id: str = ""
    merchant_id: str = ""
    subject: str = ""
    title: str = ""
    cursors: dict[str, tuple[int, int]] = {}


class ChannelDesk:
    """Answers hubs about `room:` and `chat:` channels. Raises `Rejected` or `LogUnavailable` when it cannot now."""

    def __init__(self, desk: ChatDesk, history: History, epoch: Epoch, clock: Clock) -> None:
        self._desk = desk
        self._history = history
        self._epoch = epoch
        self._clock = clock

    async def listen(self, responder: Responder, cell: str) -> None:
        """Begin to answer."""
        await responder.listen(events.join_subject(cell, "room"), Join, self.join)
        await responder.listen(events.page_subject(cell, "room"), PageRequest, self.page)
        await responder.listen(events.tops_subject(cell, "room"), TopsRequest, self.tops)
        await responder.listen(events.act_subject(cell), Acts, self.act)

    async def join(self, asked: Join) -> Admission:
        """Let everybody into rooms, and its two sides into a conversation."""
        kind, key = _split(asked.channel)
        if kind == "chat" and asked.user is None:
            return Admission(code="unauthenticated")
        try:
            user = asked.user or ""
            role = await self._desk.role(key, user, operator=asked.role in _OPERATORS)
            seen = await self._desk.do(LookAt(key, user, role), Seen)
        except Rejected as refusal:
            if refusal.code in _NOT_NOW:
                raise
            return Admission(code=refusal.code)
        conversation = kind == "chat"
        snapshot = State(
            seen.slow_seconds,
            seen.locked,
            seen.buyer_id,
            seen.merchant_id,
            seen.subject,
            seen.title,
            seen.cursors,
        )
        return Admission(
            epoch=await self._epoch.get(),
            top=seen.s,
            can_write=_can_write(asked, seen),
            receipts=conversation,
            people=conversation,
            snapshot=_encode(snapshot),
        )

    async def page(self, asked: PageRequest) -> Page:
        """Return a page of a channel that the hub has let somebody into."""
        _, key = _split(asked.channel)
        limit = max(1, min(asked.limit, events.MAX_PAGE))
        if asked.after is not None:
            found, more = await self._history.after(key, asked.after, limit)
        else:
            found, more = await self._history.before(key, asked.before, limit)
        return Page(await self._epoch.get(), found, more)

    async def tops(self, asked: TopsRequest) -> list[int]:
        """Return where channels stand."""
        keys = [_split(channel)[1] for channel in asked.channels[: events.MAX_TOPS]]
        return await self._history.tops(keys)

    async def act(self, asked: Acts) -> list[Outcome]:
        """Have acts done, all at once."""
        left = asked.deadline_ms - self._clock.now()
        return list(await asyncio.gather(*(self._one(act, left) for act in asked.acts)))

    async def _one(self, act: Act, left_ms: int) -> Outcome:
        try:
            _, key = _split(act.channel)
            answer = await self._ask(key, act, left_ms)
        except Rejected as refusal:
            return _refused(refusal.code, refusal.retry_after_ms)
        match answer:
            case Posted():
                return Done(answer.s)
            case CursorsMoved(delivered, read):
                return Done(read if isinstance(act, Read) else delivered)
            case Refusal(code, _, retry_after_ms):
                return _refused(code, retry_after_ms)
            case _:
                msg = f"{type(act).__name__} was answered with {type(answer).__name__}"
                raise TypeError(msg)

    async def _ask(self, key: str, act: Act, left_ms: int) -> Answer:
        match act:
            case Say():
                role = await self._desk.role(key, act.user, operator=act.role in _OPERATORS)
                command = self._desk.message(key, act.user, act.name, role, act.text, act.k)
                return await self._desk.ask(command, left_ms)
            case Ack():
                return await self._desk.ask(MoveCursors(key, act.user, act.s, 0), left_ms)
            case Read():
                return await self._desk.ask(MoveCursors(key, act.user, 0, act.s), left_ms)


def _can_write(asked: Join, seen: Seen) -> bool:
    """Tell who may try; whoever is muted or meets a lock is told so, and until when, by the writer."""
    if asked.user is None or asked.role == "viewer" or seen.refusal == "banned":
        return False
    return not seen.buyer_id or asked.user in (seen.buyer_id, seen.merchant_id)


def _split(channel: str) -> tuple[str, str]:
    """Take a channel's name apart. Raises `Rejected` (not_found)."""
    kind, _, key = channel.partition(":")
    if not is_id("sal" if kind == "room" else "cnv", key) or kind not in ("room", "chat"):
        raise Rejected("not_found", "There is no such channel.")
    return kind, key


def _refused(code: str, retry_ms: int | None) -> Refused:
    return Refused(code if code in codes.ERRORS else "unavailable", retry_ms)
