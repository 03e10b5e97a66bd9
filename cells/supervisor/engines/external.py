"""Engines that somebody else runs: nothing is started, but they have to answer before the cell is."""

import asyncio

import msgspec

from cells.settings import redact
from cells.trouble import Trouble

DEADLINE = 5.0


class External(msgspec.Struct, frozen=True):
    """An engine by its address."""

    name: str
    field: str
    url: str

    @property
    def address(self) -> str:
        return str(redact(self.field, self.url))

    async def require(self) -> None:
        """Raise Trouble where it does not answer with these credentials."""
        ask = {"nats": _ask_nats, "valkey": _ask_redis, "postgres": _ask_postgres}[self.name]
        try:
            async with asyncio.timeout(DEADLINE):
                await ask(self.url)
        except Exception as error:
            # Every client library has its own family of errors; all of them mean the same to a person here.
            raise Trouble(
                f"The external {self.name} at {self.address} does not answer.",
                f"{type(error).__name__}: {error}" if str(error) else f"no answer in {DEADLINE:.0f} s",
                f"check that it runs and that TITAN_{self.field.upper()} has its address, user and password",
            ) from error


async def _ask_nats(url: str) -> None:
    import nats  # noqa: PLC0415 - only external engines need it this early

    connection = await nats.connect(url, allow_reconnect=False, connect_timeout=3, error_cb=_ignore)
    try:
        await connection.flush(timeout=3)
    finally:
        await connection.close()


async def _ignore(_error: Exception) -> None:
    """The error is raised by the call as well."""


async def _ask_redis(url: str) -> None:
    from redis.asyncio import Redis  # noqa: PLC0415 - only external engines need it

    client = Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3)
    try:
        await client.ping()
    finally:
        await client.aclose()


async def _ask_postgres(url: str) -> None:
    import asyncpg  # noqa: PLC0415 - only external engines need it

    connection = await asyncpg.connect(url, timeout=3)
    try:
        await connection.fetchval("SELECT 1")
    finally:
        await connection.close(timeout=1)
