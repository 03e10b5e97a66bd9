"""A client of the protocol in Python: subscribes, applies the gap rule, comes back after a loss.

async with RealtimeClient("ws://127.0.0.1:8001/rt") as client:
    await client.sub("sale:sal_…")
    async for update in client.updates():
        print(update.channel, update.position, update.value)

Events of `log` channels come in order, each once, whatever happens to connections. What was said with `msg` is
said once, however often it had to be sent.
"""

import asyncio
import contextlib
import random
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from websockets.exceptions import InvalidHandshake, InvalidStatus

from realtime import protocol
from realtime.channels import CHANNELS, Delivery
from realtime.client_link import CommandRefused, Disconnected, Incoming, Link
from realtime.codes import CloseCode, Retry, retry_of
from realtime.protocol import ChannelState

__all__ = ["CommandRefused", "Disconnected", "RealtimeClient", "Update", "applies", "backoff"]

BACKOFF_FIRST: Final = 0.5
BACKOFF_MOST: Final = 20.0
SAY_SECONDS: Final = 60.0
# Full policy: of a channel of class `latest` a newer update replaces the unread one; behind this many unread events
# of `log` channels the connection is not read on, so that the server sees a slow reader.
MAX_UNREAD: Final = 50_000
TokenSource = Callable[[], Awaitable[str]]


class Update(msgspec.Struct, frozen=True):
    """What a channel tells: an event, a snapshot, or a signal, which moves nothing; `t` says which.

    `reset`: the channel was made anew, and what was known of it is to be thrown away.
    """

    channel: str
    position: int
    value: Any
    t: str = "snapshot"
    reset: bool = False


class _Place(msgspec.Struct):
    """Where this client is in a channel, and the channel's number on the link it is followed over."""

    n: int
    epoch: str
    last: int


def applies(last: int, event_s: int, event_p: int) -> bool | None:
    """Decide by the gap rule: True apply, False drop, None ask again from `last`."""
    if event_p == last:
        return True
    return False if event_s <= last else None


def backoff(attempt: int, chance: float) -> float:
    """Answer the seconds to wait before try number `attempt` (from 0): full jitter."""
    return chance * min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(attempt, 10))


class RealtimeClient:
    """One logical connection that survives losses. Belongs to one event loop; `updates` has one reader."""

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource | None = None,
        origin: str | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`token` is asked for a fresh access token at every connect."""
        self._url = url
        self._token = token
        self._origin = origin
        self._chance = chance
        self._link: Link | None = None
        self._connected = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._moving: asyncio.Task[None] | None = None
        self._places: dict[str, _Place] = {}
        self._names: dict[int, str] = {}
        self._latest: dict[str, Update] = {}
        self._unread: deque[Update] = deque()
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._ended: Exception | None = None
        self.connects = 0
        self.gaps = 0
        self.goaways = 0
        self.closes: list[int] = []

    async def __aenter__(self) -> Self:
        await self._connect()
        self._pump = asyncio.create_task(self._keep_connected())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [each for each in (self._pump, self._moving, *self._asking.values()) if each is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._link is not None:
            await self._link.close()

    # --- commands ---

    async def sub(self, channel: str) -> ChannelState:
        """Follow a channel from here on. Raises CommandRefused, Disconnected or TimeoutError."""
        return await self._sub(channel)

    async def _sub(self, channel: str) -> ChannelState:
        link, place = self._open_link(), self._places.get(channel)
        asked: dict[str, Any] = {"ch": channel}
        if place is not None:
            asked |= {"epoch": place.epoch, "since": place.last}

        def joined(d: msgspec.Raw) -> None:
            # Here and not where the reply is awaited: the next frame may be an event of this channel.
            self._enter(channel, msgspec.json.decode(d, type=ChannelState))

        return msgspec.json.decode(await link.command("sub", asked, joined=joined), type=ChannelState)

    async def unsub(self, channel: str) -> None:
        """Stop following a channel. Raises CommandRefused, Disconnected or TimeoutError."""
        place = self._places.pop(channel, None)
        if place is not None:
            self._names.pop(place.n, None)
            await self._open_link().command("unsub", {"n": place.n})

    async def msg(self, channel: str, text: str, *, key: str | None = None) -> int:
        """Say something and answer its position, once it is durable; sent again until that is known.

        Raises CommandRefused when it is refused for good, TimeoutError after SAY_SECONDS.
        """
        chosen = key or uuid.uuid4().hex
        async with asyncio.timeout(SAY_SECONDS):
            for attempt in range(1 << 30):
                await self._connected.wait()
                if self._ended is not None:
                    raise self._ended
                try:
                    d = {"n": self._number(channel), "text": text}
                    reply = await self._open_link().command("msg", d, key=chosen)
                    return msgspec.json.decode(reply, type=protocol.Placed).s
                except (Disconnected, TimeoutError):
                    wait = 0.0
                except CommandRefused as refused:
                    if not refused.temp and refused.code != "not_found":
                        raise
                    wait = (refused.retry_ms or 0) / 1000
                await asyncio.sleep(wait + backoff(attempt, self._chance()))
        raise TimeoutError

    async def history(self, channel: str, before: int | None = None, limit: int = 50) -> protocol.Items:
        """Answer events of the past, the oldest first. Raises CommandRefused, Disconnected or TimeoutError."""
        asked: dict[str, Any] = {"n": self._number(channel), "limit": limit}
        if before is not None:
            asked["before"] = before
        return msgspec.json.decode(await self._open_link().command("history", asked), type=protocol.Items)

    async def ack(self, channel: str, s: int) -> int:
        """Tell that everything up to `s` has arrived; answers where the cursor stands."""
        return await self._mark("ack", channel, s)

    async def read(self, channel: str, s: int) -> int:
        """Tell that everything up to `s` was read; answers where the cursor stands."""
        return await self._mark("read", channel, s)

    async def _mark(self, command: str, channel: str, s: int) -> int:
        reply = await self._open_link().command(command, {"n": self._number(channel), "s": s})
        return msgspec.json.decode(reply, type=protocol.Placed).s

    async def typing(self, channel: str) -> None:
        """Tell the others that the person is writing."""
        await self._open_link().command("typing", {"n": self._number(channel)})

    async def refresh(self, token: str) -> int:
        """Go on with a newer token; answers its life in seconds. Raises CommandRefused or Disconnected."""
        reply = await self._open_link().command("refresh", {"token": token})
        return msgspec.json.decode(reply, type=protocol.Refreshed).expires_in

    def position(self, channel: str) -> int | None:
        """Answer up to where a channel was followed; None for one that is not."""
        place = self._places.get(channel)
        return None if place is None else place.last

    async def updates(self) -> AsyncIterator[Update]:
        """Yield what channels tell; of a `latest` channel that changes faster than it is read, the newest.

        Ends with Disconnected when the server closed for good, or with the error that stopped the reader.
        """
        while True:
            while self._unread or self._latest:
                self._taken.set()
                yield self._unread.popleft() if self._unread else self._latest.pop(next(iter(self._latest)))
            if self._ended is not None:
                raise self._ended
            self._news.clear()
            await self._news.wait()

    def _open_link(self) -> Link:
        if self._link is None:
            raise self._ended or Disconnected(1006)
        return self._link

    def _number(self, channel: str) -> int:
        place = self._places.get(channel)
        if place is None:
            raise CommandRefused(protocol.refusal(0, "not_found").e)
        return place.n

    # --- the connection ---

    async def _connect(self) -> None:
        token = None if self._token is None else await self._token()
        resume = [(name, place.epoch, place.last) for name, place in self._places.items()]
        link, welcome = await Link.open(self._url, token=token, resume=resume, origin=self._origin)
        self._link = link
        self._names.clear()
        self.connects += 1
        for name, state in welcome.channels.items():
            self._enter(name, state)
        for name in self._places.keys() - welcome.channels.keys():
            self._ask_again(name)
        self._connected.set()

    async def _keep_connected(self) -> None:
        try:
            while True:
                lost = await self._read_until_lost()
                self.closes.append(lost.code)
                if await self._come_back(lost):
                    return
        except Exception as error:
            # Whoever reads `updates` is told: a reader that has died must not look like a quiet channel.
            self._end(error)
            raise

    async def _come_back(self, lost: Disconnected) -> bool:
        """Connect again; True when there is nothing to come back to."""
        attempt = 0
        self._connected.clear()
        while retry_of(lost.code) is not Retry.STOP:
            await asyncio.sleep((lost.retry_ms or 0) / 1000 + backoff(attempt, self._chance()))
            attempt += 1
            try:
                await self._connect()
            except (OSError, TimeoutError, InvalidHandshake, CommandRefused, Disconnected) as error:
                lost = _why(error)
            else:
                return False
        self._end(lost)
        return True

    def _end(self, error: Exception) -> None:
        self._ended = error
        self._link = None
        self._connected.set()
        self._news.set()

    async def _read_until_lost(self) -> Disconnected:
        """Take frames, following the link from one to the next, until there is none."""
        while (link := self._link) is not None:
            try:
                for frame in await link.read():
                    # What a link that was left still brings comes again over the next one.
                    if link is self._link:
                        self._take(link, frame)
            except Disconnected as lost:
                if link is self._link:
                    self._link = None
                    return lost
            while len(self._unread) > MAX_UNREAD:
                self._taken.clear()
                await self._taken.wait()
        return Disconnected(1006)

    def _take(self, link: Link, frame: Incoming) -> None:
        match frame:
            case Incoming(n=int(n), t=str(t)):
                self._event(n, t, frame)
            case Incoming(t="goaway"):
                self._go_away(link, msgspec.json.decode(frame.d, type=protocol.GoAway))
            case Incoming(t="unsub"):
                self._taken_off(msgspec.json.decode(frame.d, type=protocol.TakenOff))
            case _:
                pass  # `{}`, or something newer than this client

    def _event(self, n: int, t: str, frame: Incoming) -> None:
        name = self._names.get(n)
        place = self._places.get(name) if name is not None else None
        if name is None or place is None:
            return
        if frame.s is None or frame.p is None:
            self._put(Update(name, place.last, msgspec.json.decode(frame.d), t))
            return
        verdict = applies(place.last, frame.s, frame.p)
        if verdict:
            place.last = frame.s
            self._put(Update(name, frame.s, msgspec.json.decode(frame.d), t))
        elif verdict is None:
            self.gaps += 1
            self._ask_again(name)

    # --- make before break ---

    def _go_away(self, link: Link, told: protocol.GoAway) -> None:
        self.goaways += 1
        if self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._move(link, told))

    async def _move(self, old: Link, told: protocol.GoAway) -> None:
        """Open the next link, go on over it, and then leave the old one; until then the old one is read."""
        await asyncio.sleep(self._chance() * told.spread_ms / 1000)
        for attempt in range(1 << 30):
            if self._link is not old:
                return  # it was closed meanwhile, and the way back has begun
            with contextlib.suppress(OSError, TimeoutError, InvalidHandshake, CommandRefused, Disconnected):
                token = None if self._token is None else await self._token()
                resume = [(name, place.epoch, place.last) for name, place in self._places.items()]
                link, welcome = await Link.open(self._url, token=token, resume=resume, origin=self._origin)
                if self._link is not old:
                    await link.close()
                    return
                self._move_to(link, welcome)
                await old.close()
                return
            await asyncio.sleep(backoff(attempt, self._chance()))

    def _move_to(self, link: Link, welcome: protocol.Welcome) -> None:
        self._link = link
        self._names.clear()
        self.connects += 1
        for name, state in welcome.channels.items():
            self._enter(name, state)
        for name in self._places.keys() - welcome.channels.keys():
            self._ask_again(name)

    # --- channels ---

    def _ask_again(self, name: str) -> None:
        if name not in self._asking:
            task = self._asking[name] = asyncio.create_task(self._recover(name))
            task.add_done_callback(lambda _: self._asking.pop(name))

    async def _recover(self, name: str) -> None:
        for attempt in range(1 << 30):
            if name not in self._places:
                return
            try:
                await self._sub(name)
            except Disconnected:
                return  # the way back, which is under way, resumes the channel
            except TimeoutError:
                pass
            except CommandRefused as refused:
                if not refused.temp:
                    self._give_up(name, refused.code)
                    return
            else:
                return
            await asyncio.sleep(backoff(attempt, self._chance()))

    def _enter(self, name: str, state: ChannelState) -> None:
        place = self._places.get(name)
        goes_on = place is not None and place.epoch == state.epoch and not state.reset
        log = CHANNELS[name.partition(":")[0]].delivery is Delivery.LOG
        if place is not None and goes_on and (log or state.snapshot is None):
            place.n = state.n
        else:
            self._places[name] = _Place(state.n, state.epoch, state.top)
            if place is not None and log:
                self._put(Update(name, state.top, None, "reset", reset=True))
        self._names = {n: each for n, each in self._names.items() if each != name} | {state.n: name}
        if state.snapshot is not None and not (log and goes_on):
            self._put(Update(name, state.top, state.snapshot))

    def _taken_off(self, told: protocol.TakenOff) -> None:
        name = self._names.get(told.n)
        if name is not None:
            self._give_up(name, told.code)

    def _give_up(self, name: str, code: str) -> None:
        place = self._places.pop(name, None)
        if place is not None:
            self._names.pop(place.n, None)
            self._put(Update(name, place.last, {"code": code}, "unsub"))

    def _put(self, update: Update) -> None:
        family = CHANNELS.get(update.channel.partition(":")[0])
        if family is not None and family.delivery is Delivery.LATEST:
            self._latest[update.channel] = update
        else:
            self._unread.append(update)
        self._news.set()


def _why(error: Exception) -> Disconnected:
    match error:
        case Disconnected():
            return error
        case InvalidStatus(response=response) if response.status_code < 500:
            return Disconnected(CloseCode.UNKNOWN_PROTOCOL)
        case CommandRefused(temp=False, code=code) if code != "token_expired":
            return Disconnected(CloseCode.UNAUTHENTICATED)
        case _:
            return Disconnected(1006)
