"""What the connections of one hub share, whatever wire they are on: identities, channels, deadlines, the end."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from cells.telemetry.instruments import Metrics
from realtime.asking import Asking
from realtime.channels import keyed
from realtime.codes import CloseCode
from realtime.effects import Effect, Request, Subscribe, VerifyToken
from realtime.events import AccessChanged, Event, Presence
from realtime.events import Signal as Told
from realtime.feed import LatestFeed
from realtime.hub import Hub
from realtime.identities import Identities
from realtime.joining import Joining
from realtime.leave import Leave
from realtime.log_channel import LogChannel
from realtime.logs import Logs
from realtime.outbox import STUCK_MS
from realtime.packet import Packet
from realtime.peer import Peer
from realtime.protocol import Signal, encode
from realtime.session import Limits
from realtime.source import LogSource
from realtime.tokens import TokenVerifier
from realtime.traffic import Traffic
from realtime.wheel import STEP_MS, Wheel
from realtime.whereabouts import Whereabouts

_log = structlog.get_logger(__name__)

CLOSES_BETWEEN_YIELDS: Final = 256
SPREAD_MS: Final = 5_000


def monotonic_ms() -> int:
    """Answer ms of a clock that only goes forward."""
    return time.monotonic_ns() // 1_000_000


class DeskSettings(msgspec.Struct, frozen=True):
    """How connections are treated; the defaults are those of a deployed hub."""

    node: str
    limits: Limits = Limits()
    stuck_ms: int = STUCK_MS


class Desk:
    """All connections of a hub. Is every peer's Reception and the log source's listener."""

    def __init__(
        self,
        settings: DeskSettings,
        hub: Hub,
        feed: LatestFeed,
        source: LogSource,
        verifier: TokenVerifier,
        clock: Callable[[], int] = monotonic_ms,
        *,
        traffic: Traffic | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.stuck_ms = settings.stuck_ms
        self.traffic = traffic or Traffic(Metrics())
        self.wheel: Wheel[Peer] = Wheel(clock())
        self.draining = False
        self._hub = hub
        self._identities = Identities(verifier, source, clock)
        self._logs = Logs(source, hub, clock, self._epoch_changed)
        self._whereabouts = Whereabouts(settings.node, source, hub, clock)
        self._joining = Joining(hub, feed, self._logs, self._whereabouts)
        self._asking = Asking(hub, self._logs, clock)
        self._peers: dict[Peer, None] = {}
        source.hears(self)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._peers)

    def enter(self, peer: Peer) -> None:
        """Take a new connection."""
        self._peers[peer] = None
        peer.arm()

    async def run(self) -> None:
        """Keep channels, presence and deadlines, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hub.run())
            tasks.create_task(self._logs.run())
            tasks.create_task(self._whereabouts.run())
            tasks.create_task(self._identities.run())
            tasks.create_task(self._turn())

    # --- what peers ask ---

    def verify(self, peer: Peer, asked: VerifyToken) -> list[Effect]:
        """Answer what follows from a credential, now or by and by."""
        return self._identities.verify(peer, asked)

    def subscribe(self, peer: Peer, asked: Subscribe) -> None:
        """Join channels in one step, now or after looking them up."""
        self._joining.subscribe(peer, asked, self.clock())

    def unsubscribe(self, peer: Peer, n: int) -> None:
        """Leave a channel."""
        self._joining.unsubscribe(peer, n)

    def request(self, peer: Peer, asked: Request) -> None:
        """Answer by and by."""
        self._asking.request(peer, asked)

    def forget(self, peer: Peer) -> None:
        """Leave every channel and give up the place."""
        self._joining.leave_all(peer)
        self._peers.pop(peer, None)
        self._identities.forget(peer)

    # --- what the cell tells ---

    def wants(self, key: str) -> bool:
        """Whether anybody reads the channel."""
        return self._hub.log(keyed(key)) is not None

    def events(self, key: str, events: list[Event]) -> None:
        """Pass on durable events."""
        self._hub.take(key, events)

    def access(self, changed: AccessChanged) -> None:
        """Take people off a channel that they may no longer read."""
        self._logs.forget_access(changed.channel, changed.user)
        channel = self._hub.log(keyed(changed.channel))
        if channel is None or changed.code is None:
            return
        now = self.clock()
        peers = list(self._peers) if changed.user is None else self._identities.of(changed.user)
        for peer in peers:
            if channel.n in peer.channels:
                peer.perform(peer.session.taken_off(channel.n, changed.code, now))

    def signal(self, key: str, signal: Told) -> None:
        """Show what counts only now, to everybody but whom it is about."""
        channel = self._hub.log(keyed(key))
        if channel is not None:
            frame = encode(Signal(channel.n, signal.t, msgspec.Raw(signal.d)))
            self._hub.signal(channel, Packet(frame), but=signal.user)

    def presence(self, presence: Presence) -> None:
        """Take who is at another hub."""
        self._whereabouts.take(presence)

    def revoked(self, sid: str, until: int) -> None:
        """Close the connections of a sign-in that was ended, and let it in no more."""
        self._identities.revoke(sid, until)

    def lost_touch(self) -> None:
        """Look where the channels stand."""
        self._logs.check()

    def _epoch_changed(self, channel: LogChannel) -> None:
        _log.warning("a channel was made anew, so its readers start anew", channel=channel.name.key)
        readers = [peer for peer in self._peers if channel.n in peer.channels]
        self._hub.forget(channel)
        for peer in readers:
            peer.close(CloseCode.EPOCH_CHANGED, _chance(SPREAD_MS))

    # --- time ---

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(STEP_MS / 1000)
            now = self.clock()
            for count, peer in enumerate(self.wheel.turn(now), 1):
                try:
                    peer.wake(now)
                except Exception:  # noqa: BLE001 - one connection's fault must not stop everybody's deadlines
                    _log.exception("deadline failed")
                    peer.wire.cut()
                if count % CLOSES_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)

    # --- the end ---

    async def start_anew(self) -> None:
        """Send everybody away because positions count no more."""
        self._hub.close_channels()
        await self.close_all(CloseCode.EPOCH_CHANGED, SPREAD_MS)

    async def close_all(self, code: int, spread_ms: int) -> None:
        """Close every client with a `retry_ms` of its own, up to `spread_ms`, so that they come back apart."""
        for count, peer in enumerate(list(self._peers), 1):
            peer.close(code, _chance(spread_ms))
            if count % CLOSES_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)

    async def appear(self) -> None:
        """Tell the other hubs that this one serves."""
        await self._whereabouts.appear()

    async def accompanied(self, seconds: float) -> bool:
        """Tell whether another hub of the cell serves, if need be after waiting for a sign of it."""
        return await self._whereabouts.accompanied(seconds)

    async def go_away(self, leave: Leave) -> None:
        """Tell everybody to leave for another hub within the deadline, and wait until they have or it has come."""
        self.draining = True
        for count, peer in enumerate(list(self._peers), 1):
            peer.perform(peer.session.going_away(leave.deadline_ms, leave.spread_ms))
            if count % CLOSES_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
        end = self.clock() + leave.deadline_ms
        while self._peers and self.clock() < end:  # noqa: ASYNC110 - looked at a few times, once in a life
            await asyncio.sleep(0.02)

    def cancel(self) -> None:
        """Give up what is under way for clients."""
        self._identities.cancel()
        self._joining.cancel()
        self._asking.cancel()


def _chance(most: int) -> int:
    return random.randrange(most + 1)  # noqa: S311 - spreads load
