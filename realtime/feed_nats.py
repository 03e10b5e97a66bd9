"""The feed over core NATS: what is told of channels, and answers for those not heard of yet.

Core NATS delivers at most once, so a lost message must not leave a subscriber with an old state: after a
reconnect everything remembered is forgotten and the watched channels are asked for, and a watched one
that has been quiet is asked for every QUIET_SECONDS. What cannot be asked for is told again soon.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from cells.log.connection import zombie
from realtime.channels import CHANNELS, keyed
from realtime.events import LATEST, LatestSubjects, Shown
from realtime.feed import FeedUnavailable, Newest, OnShown, UnknownChannel

_log = structlog.get_logger(__name__)

GET_SECONDS: Final = 2.0
QUIET_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.5
# Full policy: refused as unavailable, which the client may try again.
ASKED_AT_ONCE: Final = 1_024
REFRESH_AT_ONCE: Final = 8
# Full policy: nats-py drops the newest message; the quiet check or the next message makes up for it.
PENDING_MESSAGES: Final = 8_192

_decode_shown = msgspec.msgpack.Decoder(Shown).decode
_decode_answer = msgspec.msgpack.Decoder(Shown | None).decode

# Answers the log's epoch; raises FeedUnavailable.
EpochReader = Callable[[], Awaitable[str]]


class NatsFeed:
    """A LatestFeed for one cell. Use `reconnected` as the connection's `on_reconnect`."""

    def __init__(self, client: Client, cell: str, read_epoch: EpochReader) -> None:
        self.client = client
        self._prefix = f"cell.{cell}."
        self._read_epoch = read_epoch
        self._epoch = ""
        self._newest = Newest()
        # Of kinds that beat: the last position given to a channel, also beyond a reconnect.
        self._beats: dict[str, int] = {}
        self._heard: set[str] = set()
        self._asking: dict[str, asyncio.Task[Shown | None]] = {}
        self._on_shown: OnShown | None = None
        self._watched: Callable[[], list[str]] = list
        self._behind = asyncio.Event()
        self._beat = asyncio.Event()

    @property
    def epoch(self) -> str:
        """The log's epoch as read at the start or after the last reconnect."""
        return self._epoch

    async def start(self) -> None:
        """Subscribe and read the epoch. Raises FeedUnavailable, and NATS errors."""
        self._epoch = await self._read_epoch()
        for kind, subjects in LATEST.items():
            await self.client.subscribe(
                self._prefix + subjects.told,
                cb=partial(self._received, kind, subjects),
                pending_msgs_limit=PENDING_MESSAGES,
            )
        # The server knows of the subscriptions when this returns.
        await self.client.flush()

    def watch(self, on_shown: OnShown) -> None:
        """Call `on_shown` from the event loop with every newer state."""
        self._on_shown = on_shown

    def interest(self, watched: Callable[[], list[str]]) -> None:
        """Ask for the channels that `watched` lists whenever they may be behind."""
        self._watched = watched

    def reconnected(self) -> None:
        """Forget what may be behind. Never fails; `run` makes it good."""
        self._newest.clear()
        self._heard.clear()
        self._behind.set()

    def known(self, key: str) -> Shown | None:
        """Answer the newest state since the last reconnect, if one was heard of."""
        return self._newest.get(key)

    async def get(self, key: str) -> Shown:
        """Answer the newest state, asking once for all who wait for it."""
        known = self._newest.get(key)
        if known is not None:
            return known
        asking = self._asking.get(key)
        if asking is None:
            if len(self._asking) >= ASKED_AT_ONCE:
                raise FeedUnavailable(f"{key}: too many channels are being asked for")
            asking = asyncio.create_task(self._ask(key))
            self._asking[key] = asking
            asking.add_done_callback(lambda done: self._asked(key, done))
        # Shielded: one who stops waiting does not take the answer from the others.
        shown = await asyncio.shield(asking)
        if shown is None:
            raise UnknownChannel(key)
        return shown

    def _asked(self, key: str, done: asyncio.Task[Shown | None]) -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen by those who waited; nobody need be left to

    async def _ask(self, key: str) -> Shown | None:
        name = keyed(key)
        subjects = LATEST[name.kind]
        if not subjects.asked:
            return await self._next(key)
        try:
            subject = self._prefix + subjects.asked
            answer = await self.client.request(subject, name.id.encode(), timeout=GET_SECONDS)
            shown = _decode_answer(answer.data)
        except (NatsError, TimeoutError, OSError, msgspec.DecodeError) as error:
            raise FeedUnavailable(f"{key}: {error!r}") from error
        if shown is None:
            return None
        self._take(key, shown)
        # A publication may have overtaken the answer.
        return self._newest.get(key) or shown

    async def _next(self, key: str) -> Shown:
        try:
            async with asyncio.timeout(GET_SECONDS):
                while (shown := self._newest.get(key)) is None:
                    self._beat.clear()
                    await self._beat.wait()
        except TimeoutError as error:
            raise FeedUnavailable(f"{key}: nothing is told of it") from error
        return shown

    async def _received(self, kind: str, subjects: LatestSubjects, message: Msg) -> None:
        key = f"{kind}:{CHANNELS[kind].only or message.subject.rpartition('.')[2]}"
        try:
            shown = _decode_shown(message.data)
        except msgspec.DecodeError as error:
            _log.error("state unreadable", subject=message.subject, error=str(error))
            return
        if subjects.beats:
            place = self._beats[key] = max(shown.position, self._beats.get(key, -1) + 1)
            shown = Shown(place, shown.text)
        self._take(key, shown)
        if subjects.beats:
            self._beat.set()

    def _take(self, key: str, shown: Shown) -> None:
        self._heard.add(key)
        if self._newest.take(key, shown) and self._on_shown is not None:
            self._on_shown(key, shown)

    async def run(self, on_epoch: Callable[[str], None]) -> None:
        """Keep the watched channels fresh, for ever; `on_epoch` hears of a log that was made anew."""
        loop = asyncio.get_running_loop()
        next_check = loop.time() + QUIET_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._behind.wait()
            if zombie(self.client):
                _log.error("the connection's read loop died; reconnecting")
                await self.client.force_reconnect()
            elif self._behind.is_set():
                await self._make_good(on_epoch)
            elif loop.time() >= next_check:
                next_check = loop.time() + QUIET_SECONDS
                await self._refresh()

    async def _make_good(self, on_epoch: Callable[[str], None]) -> None:
        self._behind.clear()
        if not await self._catch_up(on_epoch):
            # The pace of retries: the writer may take a moment longer than the log to come back.
            await asyncio.sleep(RETRY_SECONDS)
            self._behind.set()

    async def _catch_up(self, on_epoch: Callable[[str], None]) -> bool:
        try:
            epoch = await self._read_epoch()
        except FeedUnavailable:
            return False
        if epoch != self._epoch:
            self._epoch = epoch
            self._newest.clear()
            on_epoch(epoch)
        return await self._refresh()

    async def _refresh(self) -> bool:
        """Ask for the watched channels not heard of since the last time; False when some did not answer."""
        heard, self._heard = self._heard, set()
        quiet = [key for key in self._watched() if key not in heard and _can_be_asked_for(key)]
        answered = True
        for start in range(0, len(quiet), REFRESH_AT_ONCE):
            asked = [self._ask(key) for key in quiet[start : start + REFRESH_AT_ONCE]]
            for outcome in await asyncio.gather(*asked, return_exceptions=True):
                answered = answered and not isinstance(outcome, BaseException)
        return answered


def _can_be_asked_for(key: str) -> bool:
    subjects = LATEST.get(keyed(key).kind)
    return subjects is not None and bool(subjects.asked)
