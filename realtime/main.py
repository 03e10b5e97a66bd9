"""The role `hub`: one process that holds WebSockets for its cell."""

import asyncio
import resource
from pathlib import Path
from typing import Final

import structlog

from cells.config import CellConfig
from cells.log import connection
from cells.log.jetstream import JetStreamLog
from cells.log.marks import MarkKeeper
from cells.log.port import LogUnavailable
from cells.process import Process
from cells.tokens import KeyFolderError, Keyring, load_or_create_keys
from cells.trouble import Trouble
from realtime.feed import FeedUnavailable
from realtime.feed_nats import NatsFeed
from realtime.hub import Hub
from realtime.protocol import CloseCode
from realtime.session import Limits
from realtime.shell_ws import HANDSHAKES, MAX_CONNECTIONS, MAX_UNDECIDED, Settings, Shell, monotonic_ms

_log = structlog.get_logger(__name__)

DRAIN_SECONDS: Final = 1.5
SPREAD_MS: Final = 5_000
# Descriptors that are not clients: the loop, NATS, log files, the listener.
SPARE_DESCRIPTORS: Final = 128


async def main(config: CellConfig, process: Process) -> None:
    """Serve until `process.stopping`, then send everybody away and return within 2 s."""
    keys = await asyncio.to_thread(_keys, Path(config.data) / "keys")
    feed = await _open_feed(config, process.name)
    try:
        await _serve(config, process, feed, keys)
    finally:
        await connection.close(feed.client)


async def _serve(config: CellConfig, process: Process, feed: NatsFeed, keys: Keyring) -> None:
    hub = Hub(monotonic_ms)
    feed.watch(hub.publish)
    feed.interest(lambda: [name.id for name in hub.names() if name.kind == "sale"])
    shell = Shell(_settings(config, process.name), hub, feed, keys.verifier().verify)
    async with asyncio.TaskGroup() as tasks:

        def start_anew(epoch: str) -> None:
            _log.warning("the log was made anew, so clients start anew", epoch=epoch)
            hub.close_channels()
            tasks.create_task(shell.close_all(CloseCode.EPOCH_CHANGED, SPREAD_MS))

        running = [
            tasks.create_task(hub.run()),
            tasks.create_task(shell.run()),
            tasks.create_task(feed.run(start_anew)),
        ]
        await shell.open(config.host, config.realtime_port)
        process.report("serving", f"realtime at {config.public_realtime}")
        await process.stopping.wait()
        process.report("draining", f"{shell.connections} connections")
        await shell.drain(SPREAD_MS, DRAIN_SECONDS)
        for task in running:
            task.cancel()


def _keys(folder: Path) -> Keyring:
    try:
        return load_or_create_keys(folder)
    except KeyFolderError as error:
        raise Trouble("The hub cannot check access tokens.", str(error), "titan doctor") from error


async def _open_feed(config: CellConfig, name: str) -> NatsFeed:
    feed: NatsFeed | None = None

    async def reconnected() -> None:
        if feed is not None:
            feed.reconnected()

    client = await connection.connect(config.nats_url, name, on_reconnect=reconnected)
    log = JetStreamLog(client, MarkKeeper(Path(config.data) / "marks", name))
    feed = NatsFeed(client, config.cell, lambda: _epoch(log))
    try:
        await feed.start()
    except FeedUnavailable as error:
        await connection.close(client)
        raise Trouble("The hub cannot read the cell's log.", str(error), "titan status") from error
    return feed


async def _epoch(log: JetStreamLog) -> str:
    try:
        info = await log.info()
    except LogUnavailable as error:
        raise FeedUnavailable(str(error)) from error
    if info is None:
        raise FeedUnavailable("the log's stream does not exist")
    return info.epoch


def _settings(config: CellConfig, node: str) -> Settings:
    return Settings(
        node=f"{config.cell}-{node}",
        origins=frozenset(config.origins),
        limits=Limits(rates=config.rate_limits),
        handshakes=HANDSHAKES if config.rate_limits else None,
        max_connections=max(1, min(MAX_CONNECTIONS, _descriptors() - SPARE_DESCRIPTORS - MAX_UNDECIDED)),
    )


def _descriptors() -> int:
    """Raise this process's limit of open descriptors to what it is allowed, and answer it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + MAX_UNDECIDED + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
