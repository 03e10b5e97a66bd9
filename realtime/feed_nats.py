"""The feed over core NATS: the writer's publications, and its answers for sales not heard of yet.

Core NATS delivers at most once, so a lost message must not leave a watcher with an old state: after a
reconnect everything remembered is forgotten and the watched sales are asked for, and a watched sale
that has been quiet is asked for every QUIET_SECONDS.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from cells.log.connection import zombie
from realtime.feed import FeedUnavailable, Newest, UnknownSale
from realtime.views import SaleView

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

_decode_view = msgspec.msgpack.Decoder(SaleView).decode
_decode_answer = msgspec.msgpack.Decoder(SaleView | None).decode

# Answers the log's epoch; raises FeedUnavailable.
EpochReader = Callable[[], Awaitable[str]]


class NatsFeed:
    """A SaleFeed for one cell. Use `reconnected` as the connection's `on_reconnect`."""

    def __init__(self, client: Client, cell: str, read_epoch: EpochReader) -> None:
        self.client = client
        self._prefix = f"cell.{cell}.sale."
        self._get_subject = f"cell.{cell}.sale-get"
        self._read_epoch = read_epoch
        self._epoch = ""
        self._newest = Newest()
        self._heard: set[str] = set()
        self._asking: dict[str, asyncio.Task[SaleView | None]] = {}
        self._on_view: Callable[[SaleView], None] | None = None
        self._watched: Callable[[], list[str]] = list
        self._behind = asyncio.Event()

    @property
    def epoch(self) -> str:
        """The log's epoch as read at the start or after the last reconnect."""
        return self._epoch

    async def start(self) -> None:
        """Subscribe and read the epoch. Raises FeedUnavailable, and NATS errors."""
        self._epoch = await self._read_epoch()
        await self.client.subscribe(
            self._prefix + "*", cb=self._received, pending_msgs_limit=PENDING_MESSAGES
        )

    def watch(self, on_view: Callable[[SaleView], None]) -> None:
        """Call `on_view` from the event loop with every newer view."""
        self._on_view = on_view

    def interest(self, watched: Callable[[], list[str]]) -> None:
        """Ask for the sales that `watched` lists whenever they may be behind."""
        self._watched = watched

    def reconnected(self) -> None:
        """Forget what may be behind. Never fails; `run` makes it good."""
        self._newest.clear()
        self._heard.clear()
        self._behind.set()

    def known(self, sale_id: str) -> SaleView | None:
        """Answer the newest view since the last reconnect, if one was heard of."""
        return self._newest.get(sale_id)

    async def get(self, sale_id: str) -> SaleView:
        """Answer the newest view, asking the writer once for all who wait for it."""
        known = self._newest.get(sale_id)
        if known is not None:
            return known
        asking = self._asking.get(sale_id)
        if asking is None:
            if len(self._asking) >= ASKED_AT_ONCE:
                raise FeedUnavailable(f"{sale_id}: too many sales are being asked for")
            asking = asyncio.create_task(self._ask(sale_id))
            self._asking[sale_id] = asking
            asking.add_done_callback(lambda done: self._asked(sale_id, done))
        # Shielded: one who stops waiting does not take the answer from the others.
        view = await asyncio.shield(asking)
        if view is None:
            raise UnknownSale(sale_id)
        return view

    def _asked(self, sale_id: str, done: asyncio.Task[SaleView | None]) -> None:
        self._asking.pop(sale_id, None)
        if not done.cancelled():
            done.exception()  # seen by those who waited; nobody need be left to

    async def _ask(self, sale_id: str) -> SaleView | None:
        try:
            answer = await self.client.request(self._get_subject, sale_id.encode(), timeout=GET_SECONDS)
            view = _decode_answer(answer.data)
        except (NatsError, TimeoutError, OSError, msgspec.DecodeError) as error:
            raise FeedUnavailable(f"{sale_id}: {error!r}") from error
        if view is None:
            return None
        self._take(view)
        # A publication may have overtaken the answer.
        return self._newest.get(sale_id) or view

    async def _received(self, message: Msg) -> None:
        try:
            self._take(_decode_view(message.data))
        except msgspec.DecodeError as error:
            _log.error("sale view unreadable", subject=message.subject, error=str(error))

    def _take(self, view: SaleView) -> None:
        self._heard.add(view.id)
        if self._newest.take(view) and self._on_view is not None:
            self._on_view(view)

    async def run(self, on_epoch: Callable[[str], None]) -> None:
        """Keep the watched sales fresh, for ever; `on_epoch` hears of a log that was made anew."""
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
        """Ask for the watched sales not heard of since the last time; False when some did not answer."""
        heard, self._heard = self._heard, set()
        quiet = [sale_id for sale_id in self._watched() if sale_id not in heard]
        answered = True
        for start in range(0, len(quiet), REFRESH_AT_ONCE):
            asked = [self._ask(sale_id) for sale_id in quiet[start : start + REFRESH_AT_ONCE]]
            for outcome in await asyncio.gather(*asked, return_exceptions=True):
                answered = answered and not isinstance(outcome, BaseException)
        return answered
