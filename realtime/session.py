"""One connection's side of the protocol, sans-IO: frames and time in, effects out.

Rules of the shell that pumps it:
- every effect is carried out, in order, before the next call;
- `VerifyToken` is answered with `verified` or `token_refused`, and no frame is fed while the state is VERIFYING;
  `Subscribe` is answered by and by with `subscribed`, a Request by and by with `answered`;
- `tick` is called when `deadline` has come; calling it earlier is harmless;
- after `Close` nothing more is sent, and every method answers no effects.
Times are ms of a clock that only goes forward.
"""

from enum import Enum, auto
from typing import Final, assert_never

import msgspec

from realtime import protocol
from realtime.budgets import Budgets
from realtime.codes import CloseCode
from realtime.effects import (
    Answer,
    Close,
    Effect,
    Failed,
    Identity,
    Joined,
    NotJoined,
    Purpose,
    Send,
    Subscribe,
    Unsubscribe,
    VerifyToken,
    Wanted,
)
from realtime.protocol import (
    Ack,
    Command,
    Hello,
    History,
    Msg,
    Payload,
    Read,
    Refresh,
    Sub,
    Typing,
    Unsub,
    client_key,
)
from realtime.subscriptions import (
    RequestPayload,
    Subscriptions,
    joinable,
    place_of,
    request_of,
    resumable,
)

MAX_SOCKETS_PER_USER: Final = 8
# Requests of one connection that wait for the cell. Full policy: refused as overloaded.
MAX_REQUESTS: Final = 64
SILENCE_MS: Final = protocol.PING_SECONDS * 1000
DEAD_AFTER_MS: Final = 35_000


_CLOSED_BY: Final = {"token_expired": CloseCode.TOKEN_EXPIRED, "unavailable": CloseCode.INTERNAL}


class Limits(msgspec.Struct, frozen=True):
    """What differs between a deployed listener and one under test or load."""

    hello_ms: int = 5_000
    rates: bool = True


class State(Enum):
    """Life of a session: it only moves down this list."""

    AWAITING_HELLO = auto()
    VERIFYING = auto()
    OPEN = auto()
    CLOSED = auto()


class Session:
    """The conversation with one client. Holds no socket, no clock and no channel."""

    __slots__ = (
        "_asking",
        "_budgets",
        "_conn",
        "_expires_at",
        "_greeting",
        "_held",
        "_hello_by",
        "_last_in",
        "_node",
        "_ping_after",
        "_pinged_at",
        "_subscriptions",
        "identity",
        "last_out",
        "state",
    )

    def __init__(self, conn: str, node: str, now: int, *, jitter: float, limits: Limits) -> None:
        """`jitter` in 0..1 spreads the pings of many connections over SILENCE_MS ± 20 %."""
        self._conn = conn
        self._node = node
        self._hello_by = now + limits.hello_ms
        self._ping_after = int(SILENCE_MS * (0.8 + 0.4 * jitter))
        self._last_in = now
        self._pinged_at = now
        self.last_out = now  # the shell also sets it when it writes an event
        self._expires_at: int | None = None
        self._greeting: tuple[int, tuple[protocol.Resume, ...]] = (0, ())
        self._held: list[Command] = []
        self._subscriptions = Subscriptions()
        self._asking = 0
        self._budgets = Budgets(limited=limits.rates)
        self.identity: Identity | None = None
        self.state = State.AWAITING_HELLO

    @property
    def closed(self) -> bool:
        """Whether a Close was asked for."""
        return self.state is State.CLOSED

    # --- what the peer did ---

    def heard(self, now: int) -> None:
        """Note that the peer is alive."""
        self._last_in = now

    def receive(self, frame: str | bytes, now: int) -> list[Effect]:
        """Take one frame. A broken one closes the connection; this never raises."""
        if self.closed:
            return []
        self._last_in = now
        try:
            commands = protocol.decode_frame(frame)
        except protocol.BadFrame as bad:
            return self._close(bad.code)
        return self._spend("frame", None, now) + self._obey_all(commands, now)

    def _obey_all(self, commands: list[Command], now: int) -> list[Effect]:
        effects: list[Effect] = []
        for done, command in enumerate(commands):
            if self.closed:
                break
            if self.state is State.VERIFYING:
                # Bounded by the frame they came in: the shell feeds the next one after the answer.
                self._held = commands[done:]
                break
            effects += self._obey(command, now)
        return effects

    def _obey(self, command: Command, now: int) -> list[Effect]:
        ref, name = command.i or 0, command.t or ""
        kind = protocol.COMMANDS.get(name)
        if self.state is State.AWAITING_HELLO and name != "hello":
            return self._close(CloseCode.UNAUTHENTICATED)
        refused = self._spend(kind.budget if kind else "unknown", ref, now)
        if refused:
            return refused
        if kind is None:
            return [_refuse(ref, "unknown_command")]
        try:
            payload: Payload = msgspec.json.decode(command.d, type=kind.payload)
        except (msgspec.DecodeError, UnicodeError):
            return [_refuse(ref, "bad_request")]
        return self._do(payload, command, ref, now)

    def _do(self, payload: Payload, command: Command, ref: int, now: int) -> list[Effect]:
        match payload:
            case Hello():
                return self._hello(payload, ref, now)
            case Sub():
                return self._sub(payload, ref)
            case Unsub():
                return self._unsub(payload, ref)
            case Refresh():
                if self.identity is None:
                    return [_refuse(ref, "wrong_state")]
                return [VerifyToken(ref, payload.token, Purpose.REFRESH)]
            case Msg() | History() | Ack() | Read() | Typing():
                return self._request(payload, command, ref)
            case _:
                assert_never(payload)

    def _request(self, payload: RequestPayload, command: Command, ref: int) -> list[Effect]:
        name = self._subscriptions.name(payload.n)
        if name is None:
            return [_refuse(ref, "not_found")]
        if self.identity is None and not isinstance(payload, History):
            return [_refuse(ref, "unauthenticated")]
        if self._asking >= MAX_REQUESTS:
            return [_refuse(ref, "overloaded")]
        request = request_of(payload, client_key(command), name, ref)
        if request is None:
            return [_refuse(ref, "bad_request")]
        self._asking += 1
        return [request]

    def _hello(self, hello: Hello, ref: int, now: int) -> list[Effect]:
        if self.state is not State.AWAITING_HELLO:
            return [_refuse(ref, "wrong_state")]
        if len(hello.resume) > protocol.MAX_RESUME:
            return [_refuse(ref, "limit_reached")]
        self._greeting = (ref, hello.resume)
        if hello.token is not None:
            self.state = State.VERIFYING
            return [VerifyToken(ref, hello.token, Purpose.HELLO)]
        return self._open(now)

    def _open(self, now: int) -> list[Effect]:
        self.state = State.OPEN
        ref, resume = self._greeting
        self._greeting = (0, ())
        wanted = resumable(resume, self.identity)
        if not wanted:
            return [self._welcome(ref, {}, now)]
        self._subscriptions.ask(len(wanted))
        return [Subscribe(ref, wanted, greeting=True)]

    def _welcome(
        self,
        ref: int,
        channels: dict[str, protocol.ChannelState],
        now: int,
        place: tuple[str, int] | None = None,
    ) -> Send:
        welcome = protocol.Welcome(
            self._conn, self._node, protocol.PING_SECONDS, protocol.MAX_FRAME_BYTES, channels
        )
        return self._reply(ref, welcome, now, place)

    def _sub(self, sub: Sub, ref: int) -> list[Effect]:
        name = joinable(sub.ch, self.identity)
        if isinstance(name, NotJoined):
            return [_refuse(ref, name.code)]
        if not self._subscriptions.has_room(sub.ch):
            return [_refuse(ref, "limit_reached")]
        self._subscriptions.ask(1)
        return [Subscribe(ref, (Wanted(name, sub.epoch, sub.since),))]

    def _unsub(self, unsub: Unsub, ref: int) -> list[Effect]:
        if not self._subscriptions.leave(unsub.n):
            return [_refuse(ref, "not_found")]
        reply = protocol.Reply(ref, protocol.Unsubscribed(unsub.n))
        return [Unsubscribe(unsub.n), Send(protocol.encode(reply))]

    # --- what the shell found out ---

    def end(self) -> None:
        """Take that the shell closes the connection, for a reason of its own."""
        self.state = State.CLOSED

    def verified(self, asked: VerifyToken, identity: Identity, sockets: int, now: int) -> list[Effect]:
        """Take the bearer of a token, who has `sockets` other connections here."""
        if self.closed:
            return []
        if asked.purpose is Purpose.REFRESH:
            return self._refreshed(asked.ref, identity, now)
        if sockets >= MAX_SOCKETS_PER_USER:
            return self._close(CloseCode.TOO_MANY_SOCKETS)
        self._become(identity, now)
        held, self._held = self._held, []
        return self._open(now) + self._obey_all(held, now)

    def _refreshed(self, ref: int, identity: Identity, now: int) -> list[Effect]:
        if self.identity is None or identity.sub != self.identity.sub:
            return [_refuse(ref, "forbidden")]
        self._become(identity, now)
        life = identity.life_ms
        return [self._reply(ref, protocol.Refreshed(None if life is None else life // 1000), now)]

    def _become(self, identity: Identity, now: int) -> None:
        self.identity = identity
        self._expires_at = None if identity.life_ms is None else now + identity.life_ms

    def token_refused(self, asked: VerifyToken, code: str) -> list[Effect]:
        """Take that a token is not accepted: `unauthenticated`, `token_expired`, or `unavailable` for now."""
        if self.closed:
            return []
        refusal = _refuse(asked.ref, code)
        if asked.purpose is Purpose.REFRESH:
            return [refusal]
        return [refusal, *self._close(_CLOSED_BY.get(code, CloseCode.UNAUTHENTICATED))]

    def subscribed(
        self, asked: Subscribe, outcomes: tuple[Joined | NotJoined, ...], now: int
    ) -> list[Effect]:
        """Take what became of a Subscribe, one outcome for each wanted channel in order."""
        if self.closed:
            return []
        self._subscriptions.answered(len(asked.wanted))
        joined: dict[str, protocol.ChannelState] = {}
        refused: list[Effect] = []
        places: list[tuple[str, int]] = []
        for wanted, outcome in zip(asked.wanted, outcomes, strict=True):
            match outcome:
                case Joined(state):
                    joined[str(wanted.channel)] = state
                    places.append(place_of(wanted, state))
                    self._subscriptions.enter(wanted.channel, state.n)
                case NotJoined(code):
                    refused.append(_refuse(asked.ref, code))
                case _:
                    assert_never(outcome)
        if asked.greeting:
            # A channel that could not be resumed is missing from the welcome; the client subscribes anew.
            return [self._welcome(asked.ref, joined, now, places[0] if len(places) == 1 else None)]
        replies = zip(joined.values(), places, strict=True)
        return refused + [self._reply(asked.ref, state, now, place) for state, place in replies]

    def answered(self, ref: int, answer: Answer, now: int) -> list[Effect]:
        """Take what became of a Request."""
        if self.closed:
            return []
        self._asking -= 1
        if isinstance(answer, Failed):
            return [_refuse(ref, answer.code, answer.retry_ms)]
        return [self._reply(ref, answer, now)]

    def taken_off(self, n: int, code: str, now: int) -> list[Effect]:
        """Take that the subscription with number `n` may not go on."""
        if not self._subscriptions.leave(n) or self.closed:
            return []
        self.last_out = now
        return [Unsubscribe(n), Send(protocol.encode(protocol.Notice("unsub", protocol.TakenOff(n, code))))]

    def going_away(self, deadline_ms: int, spread_ms: int) -> list[Effect]:
        """Take that the connection will be closed within `deadline_ms`. Who has yet to be let in leaves at once."""
        if self.closed:
            return []
        if self.state is not State.OPEN:
            return self._close(CloseCode.DRAINING)
        notice = protocol.Notice("goaway", protocol.GoAway(deadline_ms, spread_ms))
        return [Send(protocol.encode(notice))]

    # --- time ---

    def tick(self, now: int) -> list[Effect]:
        """Do what is due at `now`."""
        if self.closed:
            return []
        if self.state is State.AWAITING_HELLO:
            return self._close(CloseCode.UNAUTHENTICATED) if now >= self._hello_by else []
        if self._expires_at is not None and now >= self._expires_at:
            return self._close(CloseCode.TOKEN_EXPIRED)
        if now >= self._last_in + DEAD_AFTER_MS:
            return self._close(CloseCode.NO_PONG)
        if now >= self._ping_at():
            self._pinged_at = self.last_out = now
            return [Send(protocol.PING)]
        return []

    def deadline(self) -> int | None:
        """Answer when `tick` has something to do; None once closed."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.AWAITING_HELLO:
            return self._hello_by
        due = min(self._ping_at(), self._last_in + DEAD_AFTER_MS)
        return due if self._expires_at is None else min(due, self._expires_at)

    def _ping_at(self) -> int:
        # Also after silence of the peer alone: on a busy channel we are never silent, and a client
        # that only listens would be taken for dead without ever having been asked.
        return max(self._pinged_at, min(self.last_out, self._last_in)) + self._ping_after

    # --- common ---

    def _reply(
        self, ref: int, body: protocol.ReplyBody, now: int, place: tuple[str, int] | None = None
    ) -> Send:
        self.last_out = now
        return Send(protocol.encode(protocol.Reply(ref, body)), place)

    def _spend(self, budget: str, ref: int | None, now: int) -> list[Effect]:
        """Take from a budget; over it, answer the refusal, and the close at the third in a minute."""
        overdrawn = self._budgets.spend(budget, now)
        if overdrawn is None:
            return []
        refusal: list[Effect] = [] if ref is None else [_refuse(ref, "rate_limited", overdrawn.wait_ms)]
        if overdrawn.penalty_ms is not None:
            return refusal + self._close(CloseCode.RATE, overdrawn.penalty_ms)
        return refusal

    def _close(self, code: int, retry_ms: int | None = None) -> list[Effect]:
        self.state = State.CLOSED
        return [Close(code, retry_ms)]


def _refuse(ref: int, code: str, retry_ms: int | None = None) -> Send:
    return Send(protocol.encode(protocol.refusal(ref, code, retry_ms)))
