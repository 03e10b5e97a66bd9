"""One client at a shell: pumps the effects of its session, and keeps its deadlines on the wheel."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, assert_never

from realtime.codes import CloseCode
from realtime.effects import (
    Close,
    Effect,
    Fetch,
    Mark,
    Request,
    Say,
    Send,
    ShowTyping,
    Subscribe,
    Unsubscribe,
    VerifyToken,
)
from realtime.outbox import Outbox
from realtime.outbox import Wire as Writable
from realtime.packet import Packet
from realtime.session import Session, State
from realtime.subscriber import Conflated
from realtime.traffic import Traffic
from realtime.wheel import Wheel

# A client has this long to answer a close before its connection is cut.
CLOSE_GRACE_MS: Final = 2_000


class Wire(Writable, Protocol):
    """A connection below a peer: WebSocket or server-sent events."""

    def place(self, epoch: str, position: int) -> None:
        """Take where the client is after what was last written."""

    def start_close(self, code: int, retry_ms: int | None) -> None:
        """Tell the close to the client. The connection ends soon, or `cut` ends it."""

    def cut(self) -> None:
        """End the connection now."""


class Reception(Protocol):
    """What a peer asks of the desk it belongs to."""

    clock: Callable[[], int]
    wheel: "Wheel[Peer]"
    stuck_ms: int
    traffic: Traffic

    def verify(self, peer: "Peer", asked: VerifyToken) -> list[Effect]:
        """Answer what follows from the token."""

    def subscribe(self, peer: "Peer", asked: Subscribe) -> None:
        """Join the channels, now or after looking them up."""

    def unsubscribe(self, peer: "Peer", n: int) -> None:
        """Leave a channel."""

    def request(self, peer: "Peer", asked: Request) -> None:
        """Do it and answer by and by."""

    def forget(self, peer: "Peer") -> None:
        """Leave every channel and give up the place. Called once or more."""


class Peer:
    """A connection with its session and outbox. Is the hub's Subscriber and the connection's Listener."""

    __slots__ = (
        "_cut_at",
        "_desk",
        "_turn",
        "_wakes_at",
        "catching",
        "channels",
        "outbox",
        "session",
        "wire",
    )

    def __init__(self, wire: Wire, session: Session, desk: Reception) -> None:
        self.wire = wire
        self.session = session
        self.outbox = Outbox(wire)
        self.channels: set[int] = set()
        self.catching: dict[int, asyncio.Task[None]] | None = None
        self._desk = desk
        self._turn: asyncio.Future[None] | None = None
        self._cut_at: int | None = None
        self._wakes_at: int | None = None

    @property
    def user(self) -> str | None:
        """The account that this connection speaks for."""
        identity = self.session.identity
        return None if identity is None else identity.sub

    # --- Subscriber ---

    def offer(self, channel: Conflated, packet: Packet, now: int) -> None:
        """Write the channel's event now, or owe it while the connection lags."""
        if self.outbox.offer(channel, packet):
            self.session.last_out = now
            self._desk.traffic.deliveries.value += 1
        else:
            self._desk.traffic.latest_shed.value += 1

    def deliver(self, packet: Packet, now: int) -> None:
        """Write events now; a connection over its budget is closed and makes up by resuming."""
        if self.outbox.send(packet):
            self.session.last_out = now
            self._desk.traffic.deliveries.value += 1
        elif not self.session.closed:
            self.close(CloseCode.SLOW)

    def signal(self, packet: Packet) -> None:
        """Write now or never."""
        if self.outbox.signal(packet):
            self._desk.traffic.deliveries.value += 1
        else:
            self._desk.traffic.signals_shed.value += 1

    # --- Listener ---

    def heard(self) -> None:
        """Take any frame, control frames too, as a sign of life."""
        self.session.heard(self._desk.clock())

    def stalled(self) -> None:
        """Start to owe, and look again when the client has had its time to drain."""
        self.outbox.stalled(self._desk.clock())
        self.arm()

    def drained(self) -> None:
        """Pay what is owed."""
        self._desk.traffic.deliveries.value += self.outbox.drained()
        if not self.outbox.lagging:
            self._take_turn()

    async def room(self) -> None:
        """Wait until the connection takes more, or is closed. One may wait at a time for each channel."""
        while self.outbox.lagging and not self.session.closed:
            await self._next_turn()

    async def decided(self) -> None:
        """Wait until it is known whom the connection speaks for, or it is closed."""
        while self.session.state is State.VERIFYING:
            await self._next_turn()

    async def _next_turn(self) -> None:
        if self._turn is None:
            self._turn = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._turn)

    def _take_turn(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)
        self._turn = None

    # --- the pump ---

    def perform(self, effects: list[Effect]) -> None:
        """Carry out effects in order, and what they lead to."""
        for effect in effects:
            match effect:
                case Send(payload, place):
                    if not self.outbox.send(Packet(payload)):
                        self.close(CloseCode.SLOW)
                        return
                    if place is not None:
                        self.wire.place(*place)
                case Close(code, retry_ms):
                    self.close(code, retry_ms)
                    return
                case VerifyToken():
                    self.perform(self._desk.verify(self, effect))
                case Subscribe():
                    self._desk.subscribe(self, effect)
                case Unsubscribe(n):
                    self._desk.unsubscribe(self, n)
                case Say() | Mark() | Fetch() | ShowTyping():
                    self._desk.request(self, effect)
                case _:
                    assert_never(effect)

    def judged(self, effects: list[Effect]) -> None:
        """Carry out what follows from a credential that had to be asked about."""
        self.perform(effects)
        self._take_turn()

    def perform_packets(self, packets: list[Packet]) -> None:
        """Write events that were missed, unless the connection is closed on the way."""
        now = self._desk.clock()
        for packet in packets:
            if self.session.closed:
                return
            self.deliver(packet, now)

    def arm(self) -> None:
        """Be on the wheel for the next deadline, if not there for an earlier one."""
        dues = (self._cut_at, self.session.deadline(), self.outbox.stuck_at(self._desk.stuck_ms))
        at = min((due for due in dues if due is not None), default=None)
        if at is not None and (self._wakes_at is None or at < self._wakes_at):
            self._wakes_at = at
            self._desk.wheel.enter(self, at)

    def wake(self, now: int) -> None:
        """Do what is due."""
        if self._wakes_at is None or now < self._wakes_at:
            return  # entered for a deadline that an earlier one has overtaken
        self._wakes_at = None
        stuck_at = self.outbox.stuck_at(self._desk.stuck_ms)
        if self._cut_at is not None and now >= self._cut_at:
            self.wire.cut()
            return
        if stuck_at is not None and now >= stuck_at:
            self.close(CloseCode.SLOW)
        self.perform(self.session.tick(now))
        self.arm()

    def close(self, code: int, retry_ms: int | None = None) -> None:
        """Send the close, write nothing after it, and cut the connection if it goes unanswered."""
        self.session.end()
        self.end()
        if self._cut_at is None:
            self._desk.traffic.closed(code)
            self.wire.start_close(code, retry_ms)
            self._cut_at = self._desk.clock() + CLOSE_GRACE_MS
            self.arm()

    def end(self) -> None:
        """Take that the connection is over: leave every channel."""
        self.session.end()
        self._take_turn()
        self._desk.forget(self)
