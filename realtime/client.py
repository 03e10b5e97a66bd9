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
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from websockets.exceptions import InvalidHandshake, InvalidStatus

from realtime import protocol
from realtime.client_channels import Gap, Inbox, Places, Update, applies
from realtime.client_link import CommandRefused, Disconnected, Incoming, Link
from realtime.codes import CloseCode, Retry, retry_of
from realtime.protocol import ChannelState

__all__ = ["CommandRefused", "Disconnected", "RealtimeClient", "Update", "applies", "backoff"]

BACKOFF_FIRST: Final = 0.5
BACKOFF_MOST: Final = 20.0
SAY_SECONDS: Final = 60.0
TokenSource = Callable[[], Awaitable[str]]


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
        self._places = Places()
        self._inbox = Inbox()
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
        place = self._places.leave(channel)
        if place is not None:
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

    async def refresh(self, token: str) -> int | None:
        """Go on with a newer token; answers its life in seconds, None for an operator's key. Raises CommandRefused or Disconnected."""
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
        async for update in self._inbox.updates():
            yield update

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
        self._go_on_over(*await self._open())
        self._connected.set()

    async def _open(self) -> tuple[Link, protocol.Welcome]:
        token = None if self._token is None else await self._token()
        return await Link.open(self._url, token=token, resume=self._places.resume(), origin=self._origin)

    def _go_on_over(self, link: Link, welcome: protocol.Welcome) -> None:
        self._link = link
        self._places.forget_numbers()
        self.connects += 1
        for name, state in welcome.channels.items():
            self._enter(name, state)
        for name in self._places.by_name.keys() - welcome.channels.keys():
            self._ask_again(name)

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
        self._inbox.end(error)

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
            await self._inbox.room()
        return Disconnected(1006)

    def _take(self, link: Link, frame: Incoming) -> None:
        match frame:
            case Incoming(n=int(n), t=str(t)):
                self._event(n, t, frame)
            case Incoming(t="goaway"):
                self._go_away(link, msgspec.json.decode(frame.d, type=protocol.GoAway))
            case Incoming(t="unsub"):
                self._put(self._places.taken_off(msgspec.json.decode(frame.d, type=protocol.TakenOff)))
            case _:
                pass  # `{}`, or something newer than this client

    def _event(self, n: int, t: str, frame: Incoming) -> None:
        told = self._places.event(n, t, frame)
        if isinstance(told, Gap):
            self.gaps += 1
            self._ask_again(told.channel)
        else:
            self._put(told)

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
                link, welcome = await self._open()
                if self._link is not old:
                    await link.close()
                    return
                self._go_on_over(link, welcome)
                await old.close()
                return
            await asyncio.sleep(backoff(attempt, self._chance()))

    # --- channels ---

    def _ask_again(self, name: str) -> None:
        if name not in self._asking:
            task = self._asking[name] = asyncio.create_task(self._recover(name))
            task.add_done_callback(lambda _: self._asking.pop(name))

    async def _recover(self, name: str) -> None:
        for attempt in range(1 << 30):
            if self._places.get(name) is None:
                return
            try:
                await self._sub(name)
            except Disconnected:
                return  # the way back, which is under way, resumes the channel
            except TimeoutError:
                pass
            except CommandRefused as refused:
                if not refused.temp:
                    self._put(self._places.give_up(name, refused.code))
                    return
            else:
                return
            await asyncio.sleep(backoff(attempt, self._chance()))

    def _enter(self, name: str, state: ChannelState) -> None:
        for update in self._places.enter(name, state):
            self._put(update)

    def _put(self, update: Update | None) -> None:
        if update is not None:
            self._inbox.put(update)


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
