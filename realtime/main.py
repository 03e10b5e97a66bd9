"""The role `hub`: one process that holds WebSockets for its cell."""

import asyncio
import contextlib
import os
import resource
from pathlib import Path
from typing import Final

import structlog

from cells.config import CellConfig
from cells.kernel.clock import SystemClock
from cells.log import connection
from cells.log.jetstream import JetStreamLog
from cells.log.marks import MarkKeeper
from cells.log.port import LogUnavailable
from cells.process import Process
from cells.telemetry.instruments import Metrics
from cells.telemetry.publish import publishing
from cells.tokens import KeyFolderError, Keyring, load_or_create_keys
from cells.trouble import Trouble
from realtime.desk import Desk, DeskSettings, monotonic_ms
from realtime.feed import FeedUnavailable
from realtime.feed_nats import NatsFeed
from realtime.hub import Hub
from realtime.leave import leave_of
from realtime.session import Limits
from realtime.shell_ws import HANDSHAKES, MAX_CONNECTIONS, MAX_UNDECIDED, Settings, Shell
from realtime.source_nats import NatsSource
from realtime.traffic import Traffic

_log = structlog.get_logger(__name__)

DRAIN_SECONDS: Final = 0.8
# Another hub that serves has said so by then.
COMPANY_SECONDS: Final = 0.25
LOOK_SECONDS: Final = 1.0
# Descriptors that are not clients: the loop, NATS, log files, the listener.
SPARE_DESCRIPTORS: Final = 128


async def main(config: CellConfig, process: Process) -> None:
    """Serve until `process.stopping`, then send everybody away and return.

    Alone that takes 2.3 s at most; while another hub of the cell serves, clients have the time to move there.
    """
    keys = await asyncio.to_thread(_keys, Path(config.data) / "keys")
    opened = await _open_feeds(config, process)
    if opened is None:
        return
    feed, source = opened
    try:
        await _serve(config, process, feed, source, keys)
    finally:
        await connection.close(feed.client)


async def _serve(
    config: CellConfig, process: Process, feed: NatsFeed, source: NatsSource, keys: Keyring
) -> None:
    hub = Hub(monotonic_ms)
    feed.watch(hub.publish)
    feed.interest(lambda: [name.key for name in hub.names()])
    told = DeskSettings(f"{config.cell}-{process.name}-{os.getpid()}", Limits(rates=config.rate_limits))
    metrics = Metrics()
    desk = Desk(told, hub, feed, source, keys.verifier().verify, traffic=Traffic(metrics))
    metrics.gauge("titan_sockets", lambda: desk.connections)
    metrics.gauge("titan_channels", lambda: hub.channels)
    shell = Shell(_settings(config), desk)
    await source.start()
    async with (
        asyncio.TaskGroup() as tasks,
        publishing(metrics, feed.client, config.cell, process.name, SystemClock()),
    ):

        def start_anew(epoch: str) -> None:
            _log.warning("the log was made anew, so clients start anew", epoch=epoch)
            tasks.create_task(desk.start_anew())

        running = [tasks.create_task(desk.run()), tasks.create_task(feed.run(start_anew))]
        await shell.open(config.host, config.realtime_port)
        await desk.appear()
        process.report("serving", f"realtime at {config.public_realtime}")
        await process.stopping.wait()
        process.report("draining", f"{desk.connections} connections")
        shell.stop_accepting()
        accompanied = await desk.accompanied(COMPANY_SECONDS)
        await shell.drain(leave_of(desk.connections, accompanied=accompanied), DRAIN_SECONDS)
        for task in running:
            task.cancel()


def _keys(folder: Path) -> Keyring:
    try:
        return load_or_create_keys(folder)
    except KeyFolderError as error:
        raise Trouble("The hub cannot check access tokens.", str(error), "titan doctor") from error


async def _open_feeds(config: CellConfig, process: Process) -> tuple[NatsFeed, NatsSource] | None:
    """Open what the hub hears; None when it is to stop before the cell's log could be read."""
    fed: list[NatsFeed | NatsSource] = []

    async def reconnected() -> None:
        for each in fed:
            each.reconnected()

    client = await connection.connect(config.nats_url, process.name, on_reconnect=reconnected)
    log = JetStreamLog(client, MarkKeeper(Path(config.data) / "marks", process.name))
    feed, source = NatsFeed(client, config.cell, lambda: _epoch(log)), NatsSource(client, config.cell)
    fed += [feed, source]
    while not process.stopping.is_set():
        try:
            await feed.start()
        except FeedUnavailable as error:
            # Without its log the cell has nothing to tell; the other processes say what is wrong with it.
            process.report("fenced", str(error))
        else:
            return feed, source
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await process.stopping.wait()
    await connection.close(client)
    return None


async def _epoch(log: JetStreamLog) -> str:
    try:
        info = await log.info()
    except LogUnavailable as error:
        raise FeedUnavailable(str(error)) from error
    if info is None:
        raise FeedUnavailable("the log's stream does not exist")
    return info.epoch


def _settings(config: CellConfig) -> Settings:
    return Settings(
        origins=frozenset(config.origins),
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
