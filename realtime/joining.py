"""How a client enters channels: who may, from where, and what it missed meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Final, assert_never

import msgspec
import structlog

from realtime.channels import Delivery
from realtime.codes import CloseCode
from realtime.effects import Joined, NotJoined, Subscribe, Wanted
from realtime.events import Page, Shown
from realtime.feed import FeedUnavailable, LatestFeed, UnknownChannel
from realtime.hub import Hub
from realtime.latest import LatestChannel
from realtime.log_channel import Entry, LogChannel, entry
from realtime.logs import Logs
from realtime.packet import packed
from realtime.peer import Peer
from realtime.protocol import ChannelState
from realtime.source import SourceUnavailable
from realtime.whereabouts import Whereabouts

_log = structlog.get_logger(__name__)

PAGE: Final = 200
# Bytes of missed events written at once; then the client has to take them before it gets more.
CHUNK_BYTES: Final = 64 * 1024
# Joins and catch-ups under way. Full policy: refused as unavailable, which the client may try again.
MAX_JOINING: Final = 16_384
RETRY_MS: Final = 5_000


class _Entrance(msgspec.Struct, frozen=True):
    """A log channel is open to a client, who goes on from `position`; `page` is what was read for it already."""

    channel: LogChannel
    state: ChannelState
    position: int
    page: Page | None = None


class _Newest(msgspec.Struct, frozen=True):
    """A state of a `latest` channel is known; None when the channel is open."""

    shown: Shown | None


_Found = _Entrance | _Newest | NotJoined


class Joining:
    """Lets clients into channels and brings them up to date."""

    def __init__(self, hub: Hub, feed: LatestFeed, logs: Logs, whereabouts: Whereabouts) -> None:
        self._hub = hub
        self._feed = feed
        self._logs = logs
        self._whereabouts = whereabouts
        self._tasks: set[asyncio.Task[None]] = set()

    def cancel(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()

    def subscribe(self, peer: Peer, asked: Subscribe, now: int) -> None:
        """Join channels in one step, after looking up what is not at hand."""
        found = [self._at_hand(wanted) for wanted in asked.wanted]
        at_hand = [each for each in found if each is not None]
        if len(at_hand) == len(found):
            self._join(peer, asked, at_hand, now)
        elif len(self._tasks) >= MAX_JOINING:
            self._join(peer, asked, [NotJoined("unavailable")] * len(found), now)
        else:
            self._start(self._look_up(peer, asked, now))

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("joining failed", error=repr(error))

    # --- looking up ---

    def _at_hand(self, wanted: Wanted) -> _Found | None:
        if wanted.channel.family.delivery is not Delivery.LATEST:
            return None
        if self._hub.latest(wanted.channel) is not None:
            return _Newest(None)
        shown = self._feed.known(wanted.channel.key)
        return None if shown is None else _Newest(shown)

    async def _look_up(self, peer: Peer, asked: Subscribe, now: int) -> None:
        found = await asyncio.gather(*(self._find(peer, wanted) for wanted in asked.wanted))
        self._join(peer, asked, found, now)

    async def _find(self, peer: Peer, wanted: Wanted) -> _Found:
        if wanted.channel.family.delivery is Delivery.LATEST:
            return self._at_hand(wanted) or await self._find_newest(wanted)
        channel = self._hub.keep(wanted.channel, peer)
        found: _Found = NotJoined("unavailable")
        try:
            found = await self._enter(channel, peer, wanted)
        except SourceUnavailable as error:
            _log.debug("a channel cannot be joined now", channel=wanted.channel.key, why=str(error))
        finally:
            if not isinstance(found, _Entrance):
                self._hub.release(channel, peer)
        return found

    async def _find_newest(self, wanted: Wanted) -> _Found:
        try:
            return _Newest(await self._feed.get(wanted.channel.key))
        except UnknownChannel:
            return NotJoined("not_found")
        except FeedUnavailable:
            return NotJoined("unavailable")

    async def _enter(self, channel: LogChannel, peer: Peer, wanted: Wanted) -> _Found:
        admission = await self._logs.admit(channel, peer.session.identity)
        if admission.code is not None:
            return NotJoined(admission.code)
        epoch, since = admission.epoch, wanted.since
        if since is not None and wanted.epoch == epoch:
            if since > channel.top and not await self._logs.reach(channel, since):
                since = None
        else:
            since = None
        page: Page | None = None
        if since is not None and channel.after(since) is None:
            page = await self._logs.page(channel.name, since, None, PAGE)
            if not page.events or page.events[0].p != since:
                since = page = None
        if since is not None:
            return _Entrance(channel, ChannelState(channel.n, epoch, channel.top), since, page)
        reset = wanted.since is not None
        if admission.snapshot is None:
            return _Entrance(channel, ChannelState(channel.n, epoch, 0, None, reset), -1)
        snapshot = msgspec.Raw(admission.snapshot)
        state = ChannelState(channel.n, epoch, admission.top, snapshot, reset)
        return _Entrance(channel, state, admission.top)

    # --- joining ---

    def _join(self, peer: Peer, asked: Subscribe, found: list[_Found], now: int) -> None:
        # No await from here on, so that no event comes between the state in the reply and the next one.
        if peer.session.closed:
            for each in found:
                if isinstance(each, _Entrance):
                    self._hub.release(each.channel, peer)
            return
        entrances = [self._placed(each) if isinstance(each, _Entrance) else each for each in found]
        outcomes = tuple(
            self._outcome(peer, wanted, each) for wanted, each in zip(asked.wanted, entrances, strict=True)
        )
        peer.perform(peer.session.subscribed(asked, outcomes, now))
        for each in entrances:
            if isinstance(each, _Entrance):
                self._follow(peer, each)

    @staticmethod
    def _placed(entrance: _Entrance) -> _Entrance:
        """Answer where a client starts that has no place of its own: behind the newest event."""
        if entrance.position >= 0:
            return entrance
        top = entrance.channel.top
        state = msgspec.structs.replace(entrance.state, top=top)
        return msgspec.structs.replace(entrance, state=state, position=top)

    def _outcome(self, peer: Peer, wanted: Wanted, found: _Found) -> Joined | NotJoined:
        match found:
            case NotJoined():
                return found
            case _Entrance(channel, state):
                peer.channels.add(channel.n)
                here = self._whereabouts.shown(channel, coming=peer)
                return Joined(msgspec.structs.replace(state, here=here))
            case _Newest(shown):
                return self._outcome_of_newest(peer, wanted, shown)
            case _:
                assert_never(found)

    def _outcome_of_newest(self, peer: Peer, wanted: Wanted, shown: Shown | None) -> Joined | NotJoined:
        open_channel = self._hub.latest(wanted.channel)
        known = open_channel.told if open_channel is not None else shown
        if known is None:
            return NotJoined("unavailable")
        channel: LatestChannel = self._hub.join(wanted.channel, peer, self._feed.epoch, known)
        peer.channels.add(channel.n)
        peer.outbox.caught_up(channel)
        return Joined(channel.state(wanted.epoch, wanted.since))

    # --- catching up ---

    def _follow(self, peer: Peer, entrance: _Entrance) -> None:
        channel = entrance.channel
        if peer.session.closed:
            self._hub.release(channel, peer)
            return
        channel.subscribers.pop(peer, None)
        self._stop(peer, channel.n)
        missed = channel.after(entrance.position)
        if missed is not None and _size(missed) <= CHUNK_BYTES:
            self._write(peer, missed)
            self._go_live(peer, channel, entrance.position)
            self._hub.release(channel, peer)
            return
        if peer.catching is None:
            peer.catching = {}
        task = peer.catching[channel.n] = self._start(self._catch_up(peer, entrance))

        def ended(_: asyncio.Task[None]) -> None:
            if peer.catching is not None and peer.catching.get(channel.n) is task:
                del peer.catching[channel.n]
            self._hub.release(channel, peer)

        task.add_done_callback(ended)

    def _stop(self, peer: Peer, n: int) -> None:
        catching = None if peer.catching is None else peer.catching.pop(n, None)
        if catching is not None:
            catching.cancel()

    def _go_live(self, peer: Peer, channel: LogChannel, position: int) -> None:
        """Let live events follow for one who was at `position` and was just written all that the channel has."""
        if not peer.session.closed:
            channel.subscribers[peer] = max(position, channel.top)
            self._whereabouts.changed(channel)

    async def _catch_up(self, peer: Peer, entrance: _Entrance) -> None:
        """Write what was missed, as fast as the client takes it, and let live events follow it."""
        channel, position, page = entrance.channel, entrance.position, entrance.page
        try:
            while not peer.session.closed:
                entries = channel.after(position)
                if entries is not None and _size(entries) <= CHUNK_BYTES:
                    self._write(peer, entries)
                    self._go_live(peer, channel, position)
                    return
                if entries is None:
                    page = page or await self._logs.page(channel.name, position, None, PAGE)
                    # What the channel has not taken yet comes live.
                    known = (each for each in page.events if each.s <= channel.top)
                    entries, page = [entry(channel.n, each) for each in known], None
                    if not entries or entries[0].p != position:
                        break
                chunk = _chunk(entries)
                self._write(peer, chunk)
                position = chunk[-1].s
                await peer.room()
            _log.warning("no event follows", channel=channel.name.key, position=position)
        except SourceUnavailable as error:
            _log.warning("a client cannot be brought up to date", channel=channel.name.key, why=str(error))
        if not peer.session.closed:
            peer.close(CloseCode.INTERNAL, RETRY_MS)

    @staticmethod
    def _write(peer: Peer, entries: list[Entry]) -> None:
        peer.perform_packets(packed((each.s, each.text) for each in entries))

    # --- leaving ---

    def unsubscribe(self, peer: Peer, n: int) -> None:
        """Leave a channel."""
        peer.channels.discard(n)
        self._leave(peer, n)

    def leave_all(self, peer: Peer) -> None:
        """Leave every channel."""
        for n in peer.channels:
            self._leave(peer, n)
        peer.channels.clear()

    def _leave(self, peer: Peer, n: int) -> None:
        self._stop(peer, n)
        channel = self._hub.leave(n, peer)
        if isinstance(channel, LogChannel):
            self._whereabouts.changed(channel)


def _size(entries: list[Entry]) -> int:
    return sum(len(each.text) for each in entries)


def _chunk(entries: list[Entry]) -> list[Entry]:
    """Answer the first entries, at least one, of CHUNK_BYTES together."""
    size = 0
    for count, each in enumerate(entries):
        size += len(each.text)
        if size > CHUNK_BYTES and count:
            return entries[:count]
    return entries
