"""Tells hubs the news that the projector has written."""

import contextlib

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError

from realtime import events
from server.feed.projection import FeedProjection

_encode = msgspec.msgpack.Encoder().encode


class Teller:
    """Publishes what the last batch led to, once it is committed. What is lost is found by its gap, and asked for."""

    def __init__(self, bus: Client, cell: str, projection: FeedProjection) -> None:
        self._bus = bus
        self._cell = cell
        self._projection = projection

    async def tell(self) -> None:
        """Tell each account's hubs."""
        told, self._projection.told = self._projection.told, {}
        with contextlib.suppress(NatsError, OSError):
            for account, news in told.items():
                await self._bus.publish(events.live_subject(self._cell, "me", account), _encode(news))
