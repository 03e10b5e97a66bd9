"""One NATS connection with the options that make nats-py safe here.

Nothing is buffered while disconnected, reconnecting never ends, a dead peer is noticed within seconds,
and a read loop that died in silence is found by `Watchdog`.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from nats.aio.client import Client, Server
from nats.errors import Error as NatsError

_log = structlog.get_logger(__name__)

PING_SECONDS = 5
FIRST_DELAY = 0.05
LONGEST_DELAY = 1.0


async def connect(
    url: str,
    name: str,
    *,
    on_reconnect: Callable[[], Awaitable[None]] | None = None,
    on_disconnect: Callable[[], Awaitable[None]] | None = None,
    timeout: float = 5.0,
) -> Client:
    """Connect, and stay connected for ever: reconnects have jitter and no limit.

    Raises `nats.errors.Error` or `OSError` when the first connection fails.
    """
    client, attempts = Client(), 0

    async def failed(error: Exception) -> None:
        _log.debug("nats", connection=name, error=repr(error))

    async def reconnected() -> None:
        nonlocal attempts
        attempts = 0
        _log.info("nats reconnected", connection=name)
        if on_reconnect is not None:
            await _guarded(on_reconnect)

    async def disconnected() -> None:
        _log.warning("nats disconnected", connection=name)
        if on_disconnect is not None:
            await _guarded(on_disconnect)

    def pace(servers: list[Server], _info: dict[str, Any]) -> tuple[Server | None, float]:
        nonlocal attempts
        attempts += 1
        # What an attempt left that failed after it had connected: the client would forget it, open.
        if client._transport is not None:  # noqa: SLF001 - the client has no public way
            client._transport.close()  # type: ignore[no-untyped-call]  # noqa: SLF001 - as above
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempts, 10))
        return servers[0], random.uniform(FIRST_DELAY, delay)  # noqa: S311 - jitter

    await client.connect(
        url,
        name=name,
        pending_size=-1,
        max_reconnect_attempts=-1,
        reconnect_time_wait=FIRST_DELAY,  # type: ignore[arg-type]  # it is slept
        reconnect_to_server_handler=pace,
        ping_interval=PING_SECONDS,
        max_outstanding_pings=2,
        connect_timeout=int(timeout),
        error_cb=failed,
        reconnected_cb=reconnected,
        disconnected_cb=disconnected,
    )
    return client


async def _guarded(callback: Callable[[], Awaitable[None]]) -> None:
    try:
        await callback()
    except Exception:  # noqa: BLE001 - the read loop of nats-py dies of an exception in a callback
        _log.exception("nats callback failed")


def zombie(client: Client) -> bool:
    """Tell whether the client believes to be connected although nobody reads its socket any more."""
    reading: asyncio.Task[None] | None = getattr(client, "_reading_task", None)
    return client.is_connected and reading is not None and reading.done()


async def close(client: Client) -> None:
    """Flush and close, within a second; a connection that cannot flush is dropped."""
    with contextlib.suppress(NatsError, TimeoutError, OSError):
        await asyncio.wait_for(client.flush(), 0.5)
    with contextlib.suppress(NatsError, TimeoutError, OSError):
        await asyncio.wait_for(client.close(), 0.5)
