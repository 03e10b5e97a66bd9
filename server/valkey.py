"""Connections to Valkey that neither pile up nor hang."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

SOCKET_SECONDS = 0.25
WAIT_SECONDS = 0.5


def connect(url: str, connections: int = 16) -> Redis:
    """Return a client whose calls fail within half a second, whatever the server does.

    A command in flight must not be cancelled from outside: redis-py would hand its answer to the next one.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=WAIT_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=pool)
