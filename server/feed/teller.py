"""Tells hubs the news that the projector has written."""

import contextlib

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError

from realtime import events
from server.feed.projection import FeedProjection

ACCOUNTS_PER_MESSAGE = 128

_encode = msgspec.msgpack.Encoder().encode


class Teller:
    """Publishes what the last batch led to, once it is committed. What is lost is found by its gap, and asked for."""

    def __init__(self, bus: Client, cell: str, projection: FeedProjection) -> None:
        self._bus = bus
        self._cell = cell
        self._projection = projection

    async def tell(self) -> None:
        """Tell the hubs of all accounts, many in a message."""
        told, self._projection.told = self._projection.told, {}
        news = [events.News(account, msgspec.Raw(_encode(each))) for account, each in told.items()]
        with contextlib.suppress(NatsError, OSError):
            for start in range(0, len(news), ACCOUNTS_PER_MESSAGE):
                part = news[start : start + ACCOUNTS_PER_MESSAGE]
                await self._bus.publish(events.news_subject(self._cell), _encode(part))
