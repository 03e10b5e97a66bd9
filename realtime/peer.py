"""One client at the shell: pumps the effects of its session, and keeps its deadlines on the wheel."""

from collections.abc import Callable
from typing import Final, Protocol, assert_never

from realtime import protocol
from realtime.connection import Connection
from realtime.hub import Channel
from realtime.outbox import Outbox
from realtime.protocol import CloseCode
from realtime.session import Close, Effect, Send, Session, Subscribe, Unsubscribe, VerifyToken
from realtime.wheel import Wheel

# A client has this long to answer a close before its connection is cut.
CLOSE_GRACE_MS: Final = 2_000


class Desk(Protocol):
    """What a peer asks of the shell it belongs to."""

    clock: Callable[[], int]
    wheel: "Wheel[Peer]"
    stuck_ms: int

    def verify(self, peer: "Peer", asked: VerifyToken) -> list[Effect]:
        """Answer what follows from the token."""

    def subscribe(self, peer: "Peer", asked: Subscribe) -> None:
        """Join the channels, now or after looking them up."""

    def unsubscribe(self, peer: "Peer", n: int) -> None:
        """Leave a channel."""

    def forget(self, peer: "Peer") -> None:
        """Leave every channel and give up the place. Called once or more."""


class Peer:
    """A connection with its session and outbox. Is the hub's Subscriber and the connection's Listener."""

    __slots__ = ("_cut_at", "_desk", "_wakes_at", "channels", "connection", "outbox", "session")

    def __init__(self, connection: Connection, session: Session, desk: Desk) -> None:
        self.connection = connection
        self.session = session
        self.outbox = Outbox(connection)
        self.channels: set[int] = set()
        self._desk = desk
        self._cut_at: int | None = None
        self._wakes_at: int | None = None

    # --- Subscriber ---

    def offer(self, channel: Channel, frame: bytes) -> None:
        """Write the channel's event now, or owe it while the connection lags."""
        if self.outbox.offer(channel, frame):
            self.session.last_out = self._desk.clock()

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
        self.outbox.drained()

    # --- the pump ---

    def perform(self, effects: list[Effect]) -> None:
        """Carry out effects in order, and what they lead to."""
        for effect in effects:
            match effect:
                case Send(payload):
                    if not self.outbox.send(protocol.text_frame(payload)):
                        self.close(CloseCode.SLOW)
                        return
                case Close(code, retry_ms):
                    self.close(code, retry_ms)
                    return
                case VerifyToken():
                    self.perform(self._desk.verify(self, effect))
                case Subscribe():
                    self._desk.subscribe(self, effect)
                case Unsubscribe(n):
                    self._desk.unsubscribe(self, n)
                case _:
                    assert_never(effect)

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
            self.connection.cut()
            return
        if stuck_at is not None and now >= stuck_at:
            self.close(CloseCode.SLOW)
        self.perform(self.session.tick(now))
        self.arm()

    def close(self, code: int, retry_ms: int | None = None) -> None:
        """Send the close frame, write nothing after it, and cut the connection if it goes unanswered."""
        self.session.end()
        self._desk.forget(self)
        if self._cut_at is None:
            self.connection.start_close(code, protocol.encode_reason(retry_ms))
            self._cut_at = self._desk.clock() + CLOSE_GRACE_MS
            self.arm()
