"""The observer of a cell: shows operators the whole of it, live and as of any moment of its log.

It reads and tells; nothing in the cell waits for it, and the cell is well without it.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from cells.config import CellConfig
from cells.kernel.clock import Clock, SystemClock
from cells.log.jetstream import JetStreamLog
from cells.log.port import LogUnavailable
from cells.process import Process
from cells.tasks import end
from cells.telemetry.collect import Collected
from cells.telemetry.instruments import Metrics
from cells.telemetry.publish import publish
from server.ops import asks
from server.ops.desk import Desk
from server.ops.present import Present
from server.ops.replay import History, Replays
from server.store.vocabulary import registries

_log = structlog.get_logger(__name__)

OPEN_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 0.5
FRAME_SECONDS: Final = 1.0
GAP_SECONDS: Final = 0.25
"""Between two frames, however much happens."""

SWEEP_SECONDS: Final = 10.0

AT_ONCE: Final = 64
"""Questions at once. Full policy: declined as overloaded."""

PENDING_MESSAGES: Final = 256
"""Full policy: nats-py drops the newest, and whoever asked hears nothing and asks again."""

_encode = msgspec.msgpack.Encoder().encode


class Observer:
    """One cell's observer on an open log."""

    def __init__(
        self, config: CellConfig, log: JetStreamLog, first: int, clock: Clock, metrics: Metrics
    ) -> None:
        """`first` is the log's first position."""
        known = registries()
        self._cell = config.cell
        self._log = log
        self._clock = clock
        self._metrics = metrics
        self._epoch = log.epoch  # empty while the log is fenced
        self.collected = Collected()
        self.history = History(log, known, first)
        self.present = Present(config, log, self.collected, clock)
        self._replays = Replays(log, self.history, time.monotonic)
        self.desk = Desk(config, log, known, self.history, self._replays, self.present, clock)
        self._changed = asyncio.Event()
        self._moves = 0
        self._asked = _Asked(log.client, self.desk, metrics)
        self._frame_seconds = metrics.histogram("titan_frame_seconds")
        metrics.gauge("titan_observer_position", lambda: float(self.history.board.position))
        metrics.gauge("titan_observer_snapshot_bytes", lambda: float(self.history.snapshots.bytes))
        metrics.gauge("titan_observer_replays", lambda: float(len(self._replays)))

    async def start(self) -> None:
        """Begin to listen, and look once, so that the first frame is whole."""
        await self.collected.start(self._log.client, self._cell)
        await self.present.look(self.history.board.state)
        await self._asked.start(self._cell)

    def work(self, name: str) -> list[Coroutine[Any, Any, None]]:
        """Return all that runs for as long as the process does; `name` is its own."""
        return [
            self._follow(),
            self.present.watch(lambda: self.history.board.state, self._changed.set),
            self._show(),
            self._sweep(),
            publish(self._metrics, self._log.client, self._cell, name, self._clock),
        ]

    async def stop(self) -> None:
        """Leave the questions that are not answered yet."""
        await self._asked.stop()

    async def _follow(self) -> None:
        """Follow the log for ever. What it cannot give now is asked for again."""
        while True:
            try:
                await self.history.follow(self._moved)
            except LogUnavailable as error:
                _log.warning("the log cannot be read", reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    def _moved(self) -> None:
        moves = self.history.board.state.moves
        if moves != self._moves and self.history.complete:
            self._changed.set()
        self._moves = moves

    async def _show(self) -> None:
        """Publish the picture every second, and at once when a process or a sale changed its state."""
        subject = asks.frame_subject(self._cell)
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            began = loop.time()
            position, raw = self.desk.live_frame()
            self._frame_seconds.observe(loop.time() - began)
            with contextlib.suppress(NatsError, OSError):
                await self._log.client.publish(subject, _encode([position, raw]))
            await asyncio.sleep(GAP_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, began + FRAME_SECONDS - loop.time())):
                    await self._changed.wait()

    async def _sweep(self) -> None:
        """Let go of replays that nobody looks at. Ends when the log is another one: this board is not of it."""
        while self._log.epoch in ("", self._epoch):
            await asyncio.sleep(SWEEP_SECONDS)
            self._replays.sweep()
            self._epoch = self._epoch or self._log.epoch
        _log.error("the log is another one now", was=self._epoch, found=self._log.epoch)


class _Asked:
    """Takes questions; a slow answer holds up no other."""

    def __init__(self, bus: Client, desk: Desk, metrics: Metrics) -> None:
        self._bus = bus
        self._desk = desk
        self._running: set[asyncio.Task[None]] = set()
        self._seconds = metrics.histogram("titan_ask_seconds")

    async def start(self, cell: str) -> None:
        await self._bus.subscribe(
            asks.ask_subject(cell), asks.QUEUE, cb=self._received, pending_msgs_limit=PENDING_MESSAGES
        )

    async def stop(self) -> None:
        await end(self._running)

    async def _received(self, message: Msg) -> None:
        if len(self._running) >= AT_ONCE:
            await self._say(message.reply, asks.Declined("overloaded", retry_after_ms=1_000))
            return
        task = asyncio.create_task(self._answer(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, message: Msg) -> None:
        began = time.perf_counter()
        answer = await self._desk.answer(message.data)
        self._seconds.observe(time.perf_counter() - began)
        await self._say(message.reply, answer)

    async def _say(self, reply: str, answer: asks.Answer) -> None:
        try:
            await self._bus.publish(reply, asks.encode_answer(answer))
        except (NatsError, OSError) as error:
            _log.warning("an answer was not sent", reason=repr(error))


async def main(config: CellConfig, process: Process) -> None:
    """Run until the process is to stop. What fails for good ends it, and the supervisor starts it anew."""
    opened = await _open(config, process)
    if opened is None:
        return
    log, first = opened
    observer = Observer(config, log, first, SystemClock(), Metrics())
    try:
        await observer.start()
        process.report("serving")
        await _until(process.stopping, *observer.work(process.name))
    finally:
        await observer.stop()
        await log.close()


async def _open(config: CellConfig, process: Process) -> tuple[JetStreamLog, int] | None:
    """Open the log and find its first position; tried again until there is a log, or the process is to stop."""
    while not process.stopping.is_set():
        try:
            log = await JetStreamLog.open(config.nats_url, Path(config.data) / "marks", process.name)
        except (LogUnavailable, NatsError, OSError) as error:
            process.report("starting", f"the log does not answer: {error}")
        else:
            with contextlib.suppress(LogUnavailable):
                info = await log.info()
                return log, info.first if info else 1
            await log.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                await process.stopping.wait()
    return None


async def _until(stopping: asyncio.Event, *running: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, whose error is raised, or `stopping` is set; then cancel the rest."""
    tasks = [asyncio.create_task(work) for work in running]
    tasks.append(asyncio.create_task(_set(stopping)))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(tasks)


async def _set(event: asyncio.Event) -> None:
    await event.wait()
