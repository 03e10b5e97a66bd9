"""Keeps a hub's `log` channels true: who may read them, what is missing, what was lost on the way."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

from realtime.channels import ChannelName
from realtime.effects import Identity
from realtime.events import Admission, Join, Page, PageRequest
from realtime.hub import Hub
from realtime.log_channel import LogChannel
from realtime.once import Once
from realtime.source import LogSource, SourceUnavailable

_log = structlog.get_logger(__name__)

ADMISSION_MS: Final = 30_000
# Full policy: the admission used longest ago is asked for again.
ADMISSIONS: Final = 16_384
REFILLS_AT_ONCE: Final = 8
RETRY_SECONDS: Final = 0.25
CHECK_SECONDS: Final = 10.0


class Logs:
    """What the hub knows of its log channels. `on_epoch` hears of one whose positions count no more."""

    def __init__(
        self,
        source: LogSource,
        hub: Hub,
        clock: Callable[[], int],
        on_epoch: Callable[[LogChannel], None],
    ) -> None:
        self.source = source
        self._hub = hub
        self._clock = clock
        self._on_epoch = on_epoch
        self._admitted: OrderedDict[tuple[str, str | None], tuple[Admission, int]] = OrderedDict()
        self._generation = 0
        self._joins: Once[tuple[str, str | None], Admission] = Once()
        self._pages: Once[PageRequest, Page] = Once()
        self._refilling: dict[LogChannel, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(REFILLS_AT_ONCE)
        self._check_now = asyncio.Event()
        hub.on_behind(self.mend)

    # --- who may ---

    async def admit(self, channel: LogChannel, identity: Identity | None) -> Admission:
        """Answer whether somebody may read, and open the channel. Raises SourceUnavailable."""
        user = None if identity is None else identity.sub
        place = (channel.name.key, user)
        known = self._admitted.get(place)
        # A channel is never opened from memory: where it stood is no longer where it stands.
        if known is not None and known[1] > self._clock() and channel.opened:
            self._admitted.move_to_end(place)
            return known[0]
        generation = self._generation
        role = None if identity is None else identity.role
        asked = Join(channel.name.key, user, role)
        admission = await self._joins.ask(place, lambda: self.source.join(asked))
        if admission.code is None:
            self._open(channel, admission)
            if generation == self._generation:
                self._remember(place, admission)
        return admission

    def _open(self, channel: LogChannel, admission: Admission) -> None:
        channel.people, channel.receipts = admission.people, admission.receipts
        if not channel.opened:
            channel.open(admission.epoch, admission.top)
        elif channel.epoch != admission.epoch:
            self._on_epoch(channel)
        else:
            channel.note(admission.top)
        if channel.behind:
            self.mend(channel)

    def _remember(self, place: tuple[str, str | None], admission: Admission) -> None:
        self._admitted[place] = (admission, self._clock() + ADMISSION_MS)
        self._admitted.move_to_end(place)
        if len(self._admitted) > ADMISSIONS:
            self._admitted.popitem(last=False)

    def forget_access(self, key: str, user: str | None) -> None:
        """Ask again before relying on somebody's (None: everybody's) access to a channel."""
        self._generation += 1
        for place in [each for each in self._admitted if each[0] == key and user in {None, each[1]}]:
            del self._admitted[place]

    # --- what was said ---

    async def page(self, name: ChannelName, after: int | None, before: int | None, limit: int) -> Page:
        """Read events, once for all who want the same. Raises SourceUnavailable."""
        asked = PageRequest(name.key, after, before, limit)
        return await self._pages.ask(asked, lambda: self.source.page(asked))

    # --- what is missing ---

    def mend(self, channel: LogChannel) -> None:
        """Read what is missing, soon."""
        self._mending(channel)

    async def reach(self, channel: LogChannel, position: int) -> bool:
        """Read up to a position that somebody claims to have seen; False when the channel has none so far."""
        channel.note(position)
        if channel.behind:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await asyncio.shield(self._mending(channel))
        return channel.top >= position

    def _mending(self, channel: LogChannel) -> asyncio.Task[None]:
        task = self._refilling.get(channel)
        if task is None:
            task = self._refilling[channel] = asyncio.create_task(self._refill(channel))
            task.add_done_callback(lambda _: self._refilling.pop(channel, None))
        return task

    async def _refill(self, channel: LogChannel) -> None:
        async with self._turns:
            while channel.behind and self._hub.log(channel.name) is channel:
                before = channel.top
                try:
                    page = await self.page(channel.name, channel.top, None, 200)
                except SourceUnavailable as error:
                    _log.warning(
                        "events are missing and cannot be read", channel=channel.name.key, why=str(error)
                    )
                    await asyncio.sleep(RETRY_SECONDS)  # the pace of retries
                    continue
                if page.epoch != channel.epoch:
                    self._on_epoch(channel)
                    return
                self._hub.take(channel.name.key, page.events)
                if channel.top == before and not page.more:
                    # The source has nothing more: what was spoken of is not, or not yet, in the log.
                    channel.heard = channel.top
                    channel.behind = False

    def check(self) -> None:
        """Look at once where the channels stand: events may have been lost."""
        self._check_now.set()

    async def run(self) -> None:
        """Look every CHECK_SECONDS where the channels stand, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._check_now.wait()
            self._check_now.clear()
            channels = [each for each in self._hub.logs() if each.opened]
            if not channels:
                continue
            try:
                tops = await self.source.tops([each.name.key for each in channels])
            except SourceUnavailable as error:
                _log.debug("where the channels stand is not known", why=str(error))
                await asyncio.sleep(RETRY_SECONDS)  # the pace of retries
                self._check_now.set()
                continue
            for channel, top in zip(channels, tops, strict=True):
                channel.note(top)
                if channel.behind:
                    self.mend(channel)
