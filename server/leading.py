"""What a feature hands to the writer process so that its hot aggregates are served, and what it gets for it."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from nats.aio.msg import Msg
from redis.asyncio import Redis

from cells.config import CellConfig
from cells.engine.desk import Outbox
from cells.kernel.clock import Clock
from cells.log.jetstream import JetStreamLog
from cells.telemetry.instruments import Metrics

Listener = Callable[[Msg], Awaitable[None]]


class Term(msgspec.Struct, frozen=True):
    """One term of leading. `superseded` is to be called by whoever finds that another writer has taken over."""

    config: CellConfig
    log: JetStreamLog
    valkey: Redis
    clock: Clock
    outbox: Outbox
    number: int
    writer: str
    superseded: Callable[[], None]
    metrics: Metrics


class Family(Protocol):
    """The hot aggregates of one feature, for one term."""

    name: str

    async def load(self) -> int:
        """Read what has to be in memory from the start; return how many. Called before anybody is listened to.

        Raises `LogUnavailable`, `Broken`, `Superseded`.
        """

    def listeners(self, commands: str) -> Mapping[str, Listener]:
        """Return what answers on which subject; `commands` is the term's own."""

    def background(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Return what runs for as long as the term lasts."""

    def abdicate(self) -> None:
        """Decide nothing more, and say so with empty answers: another writer leads."""

    async def stop(self) -> None:
        """Finish what is in flight and take nothing more."""


Families = Sequence[Callable[[Term], Family]]
