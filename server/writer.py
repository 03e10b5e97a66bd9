"""The `writer` process: leads the cell's sales, or stands by while another one does."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from redis.asyncio import Redis

from cells.config import CellConfig
from cells.engine.hot import Changed
from cells.engine.leadership import Leadership
from cells.engine.writer import Writer
from cells.kernel.clock import Clock, SystemClock
from cells.kernel.errors import Rejected
from cells.kernel.ids import BadId, slot_in
from cells.log import subjects
from cells.log.jetstream import JetStreamLog
from cells.log.port import LogUnavailable
from cells.process import Process
from server.flash_sale import wire
from server.flash_sale.decide import idle
from server.flash_sale.gatekeeper import Gatekeeper
from server.flash_sale.model import KIND, Answer, Command, GetSale, Refusal, Sale, SaleFound
from server.flash_sale.rules import SaleRules, view
from server.valkey import connect as connect_valkey

_log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.25
CHECK_SECONDS = 0.5
READ_AT_ONCE = 8

_encode = msgspec.msgpack.Encoder().encode


class Outbox:
    """Everything the writer says, in one order: a sale is shown before the command that changed it is answered."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._work = asyncio.Event()

    def put(self, subject: str, payload: bytes) -> None:
        """Send soon. Does not block; what is said while disconnected is lost, and asked for again."""
        self._waiting.append((subject, payload))
        self._work.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self.flush()

    async def flush(self) -> None:
        """Hand over to the connection all that waits."""
        while self._waiting:
            subject, payload = self._waiting.popleft()
            with contextlib.suppress(NatsError, OSError):
                await self._client.publish(subject, payload)


class SaleWatcher:
    """Shows every durable change to the gate and to all who follow a sale."""

    def __init__(self, outbox: Outbox, gatekeeper: Gatekeeper, cell: str, finished: "Finished") -> None:
        self._outbox = outbox
        self._gatekeeper = gatekeeper
        self._cell = cell
        self._finished = finished

    def loaded(self, change: Changed) -> None:
        """Show a sale that was read."""
        self._gatekeeper.loaded(change)
        self._show(change)

    def changed(self, change: Changed) -> None:
        """Show a sale that changed."""
        self._gatekeeper.changed(change)
        self._show(change)

    def unloaded(self, key: str) -> None:
        """Forget a sale."""
        self._gatekeeper.unloaded(key)

    def _show(self, change: Changed) -> None:
        shown = view(change.state, change.version, change.position)
        self._outbox.put(wire.sale_subject(self._cell, change.key), _encode(shown))
        if idle(change.state):
            self._finished.note(change.key, change.version)


class Finished:
    """Sales that are over for good and the number of their commits: a start need not read them again. Disposable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._versions: dict[str, int] = {}
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            self._versions = msgspec.json.decode(path.read_bytes(), type=dict[str, int])

    def note(self, sale_id: str, version: int) -> None:
        """Remember that a sale is over."""
        self._versions[sale_id] = version

    def covers(self, sale_id: str, commits: int) -> bool:
        """Tell whether the sale was over after this many commits."""
        return self._versions.get(sale_id) == commits

    def save(self) -> None:
        """Replace the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(msgspec.json.encode(self._versions))
        temporary.replace(self._path)


class Desk:
    """Takes messages of commands and answers each when all its commands are answered."""

    def __init__(self, writer: Writer[Sale, Command], outbox: Outbox, clock: Clock) -> None:
        self._writer = writer
        self._outbox = outbox
        self._clock = clock
        self.closed = False

    async def on_commands(self, message: Msg) -> None:
        """Submit the commands of a message. A closed desk decides nothing and says so with an empty answer."""
        if self.closed:
            self._outbox.put(message.reply, wire.encode_answers([]))
            return
        request = wire.decode_request(message.data)
        answers: list[Answer | None] = [None] * len(request.commands)
        left = len(answers)

        def answered(index: int) -> Callable[[Answer], None]:
            def done(answer: Answer) -> None:
                nonlocal left
                answers[index] = answer
                left -= 1
                if not left:
                    self._outbox.put(message.reply, wire.encode_answers([] if self.closed else answers))

            return done

        for index, command in enumerate(request.commands):
            self._submit(command, request.deadline, answered(index))

    async def on_get(self, message: Msg) -> None:
        """Answer what a sale looks like; nil when there is none."""

        def done(answer: Answer) -> None:
            shown = answer.view if isinstance(answer, SaleFound) else msgspec.Raw(_encode(None))
            self._outbox.put(message.reply, bytes(shown))

        command = GetSale(message.data.decode(errors="replace"))
        self._submit(command, self._clock.now() + 2_000, done)

    def _submit(self, command: Command, deadline: int, done: Callable[[Answer], None]) -> None:
        sale_id, hold_id = command.sale_id, getattr(command, "hold_id", "")
        try:
            slot = slot_in(sale_id or hold_id)
        except BadId:
            done(Refusal("not_found", "there is no such sale or hold"))
            return
        if not sale_id:
            sale_id = self._writer.find(slot, lambda sale: hold_id in sale.holds) or ""
        if sale_id:
            self._writer.submit(slot, sale_id, command, deadline, done)
        else:
            done(Refusal("not_found", "no sale in memory has this hold"))


async def read_sales(writer: Writer[Sale, Command], log: JetStreamLog, finished: Finished) -> int:
    """Read every sale that may still change; returns how many. Raises `LogUnavailable`, `Broken`, `Superseded`."""
    wanted = []
    for name, commits in (await log.subjects(subjects.of_kind(KIND))).items():
        slot, _, sale_id = subjects.split(name)
        if not finished.covers(sale_id, commits):
            wanted.append((slot, sale_id))
    for start in range(0, len(wanted), READ_AT_ONCE):
        await asyncio.gather(*(writer.own(*sale) for sale in wanted[start : start + READ_AT_ONCE]))
    return len(wanted)


class Term:
    """One term of leading: from the vacancy to being superseded or told to stop."""

    def __init__(
        self, config: CellConfig, log: JetStreamLog, valkey: Redis, clock: Clock, leadership: Leadership
    ) -> None:
        self._config = config
        self._log = log
        self._valkey = valkey
        self._clock = clock
        self._leadership = leadership
        self._finished = Finished(Path(config.data) / "snapshots" / "finished-sales.json")

    async def lead(self, process: Process) -> None:
        """Lead until superseded or stopping. Raises `LogUnavailable`, `Rejected`, `Broken`."""
        cell, bus = self._config.cell, self._log.client
        here = await self._leadership.take(self._log, self._clock)
        lost = self._leadership.lost
        outbox = Outbox(bus)
        gatekeeper = Gatekeeper(self._valkey, cell, here.term)
        writer: Writer[Sale, Command] = Writer(
            self._log,
            SaleRules(),
            self._clock,
            SaleWatcher(outbox, gatekeeper, cell, self._finished),
            term=here.term,
            name=process.name,
            on_superseded=lost.set,
        )
        desk = Desk(writer, outbox, self._clock)
        tasks = [asyncio.create_task(work) for work in (outbox.run(), gatekeeper.run(), writer.run_clock())]
        listening: list[Subscription] = []
        try:
            sales = await read_sales(writer, self._log, self._finished)
            listening.append(await bus.subscribe(here.subject, cb=desk.on_commands))
            listening.append(await bus.subscribe(wire.sale_get_subject(cell), cb=desk.on_get))
            await self._leadership.announce()
            _log.info("leading", term=here.term, sales=sales)
            await _serve(process, self._log, lost)
        finally:
            desk.closed = lost.is_set()
            for subscription in listening:
                with contextlib.suppress(NatsError, OSError):
                    await subscription.unsubscribe()
            await self._leadership.resign()
            await writer.stop()
            self._finished.save()
            await outbox.flush()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(process: Process, log: JetStreamLog, lost: asyncio.Event) -> None:
    """Report how the log stands, every time it changes, until superseded or stopping."""
    shown: str | None = ""
    while not lost.is_set() and not process.stopping.is_set():
        if log.fenced != shown:
            shown = log.fenced
            process.report("fenced" if shown else "serving", shown or "")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_first(lost, process.stopping), CHECK_SECONDS)


async def _first(*awaited: asyncio.Event | asyncio.Task[None]) -> None:
    """Return when the first of them is set or done."""
    waits = {e: asyncio.create_task(e.wait()) for e in awaited if isinstance(e, asyncio.Event)}
    try:
        tasks = [e for e in awaited if isinstance(e, asyncio.Task)]
        await asyncio.wait([*waits.values(), *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits.values():
            wait.cancel()


async def main(config: CellConfig, process: Process) -> None:
    """Lead, or stand by, until told to stop. A log that cannot be led is tried again."""
    clock = SystemClock()
    valkey = connect_valkey(config.redis_url)
    log = await JetStreamLog.open(config.nats_url, Path(config.data) / "marks", process.name)
    leadership = Leadership(log.client, config.cell, process.name)
    try:
        await leadership.start()
        while not process.stopping.is_set():
            await _until(leadership.wait_for_vacancy(lambda: process.report("standby")), process.stopping)
            if process.stopping.is_set():
                return
            try:
                await Term(config, log, valkey, clock, leadership).lead(process)
            except (LogUnavailable, Rejected) as error:
                if log.fenced:
                    process.report("fenced", log.fenced)
                _log.warning("cannot lead", reason=str(error))
                await _until(asyncio.sleep(RETRY_SECONDS), process.stopping)
    finally:
        await valkey.aclose()
        await log.close()


async def _until(work: Coroutine[Any, Any, None], stopping: asyncio.Event) -> None:
    """Do some work, but no longer than until told to stop."""
    doing = asyncio.create_task(work)
    try:
        await _first(stopping, doing)
        if doing.done():
            doing.result()
    finally:
        doing.cancel()
