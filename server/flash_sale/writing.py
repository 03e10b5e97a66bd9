"""The sales as the leading writer serves them."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from nats.aio.msg import Msg

from cells.engine.desk import Desk, Outbox
from cells.engine.hot import Changed
from cells.engine.writer import Writer
from cells.kernel.ids import BadId, slot_in
from cells.log import subjects
from server.flash_sale import wire
from server.flash_sale.decide import idle
from server.flash_sale.gatekeeper import Gatekeeper
from server.flash_sale.model import KIND, Answer, Command, GetSale, Refusal, Sale, SaleFound
from server.flash_sale.rules import SaleRules, view
from server.flash_sale.showing import SaleView, shown
from server.leading import Listener, Term

READ_AT_ONCE = 8
GET_MS = 2_000

_NOBODY = msgspec.msgpack.encode(None)
_decode_view = msgspec.msgpack.Decoder(SaleView).decode


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
        sale = shown(view(change.state, change.version, change.position))
        self._outbox.put(wire.sale_subject(self._cell, change.key), sale)
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


class SaleFamily:
    """`Family` of the sales: all that may still change are in memory from the start."""

    name = "sales"

    def __init__(self, term: Term) -> None:
        self._term = term
        self._finished = Finished(Path(term.config.data) / "snapshots" / "finished-sales.json")
        self._gatekeeper = Gatekeeper(term.valkey, term.config.cell, term.number)
        watcher = SaleWatcher(term.outbox, self._gatekeeper, term.config.cell, self._finished)
        self._writer: Writer[Sale, Command] = Writer(
            term.log,
            SaleRules(),
            term.clock,
            watcher,
            term=term.number,
            name=term.writer,
            on_superseded=term.superseded,
            metrics=term.metrics,
        )
        family = f'family="{self.name}"'
        term.metrics.gauge("titan_writer_queue", lambda: self._writer.queued, family)
        taken = term.metrics.counter("titan_commands_total", family)
        self._desk = Desk(self._submit, wire.WIRE, term.outbox.put, taken)

    async def load(self) -> int:
        """Read every sale that may still change; return how many."""
        wanted = []
        for name, commits in (await self._term.log.subjects(subjects.of_kind(KIND))).items():
            slot, _, sale_id = subjects.split(name)
            if not self._finished.covers(sale_id, commits):
                wanted.append((slot, sale_id))
        for start in range(0, len(wanted), READ_AT_ONCE):
            await asyncio.gather(*(self._writer.own(*sale) for sale in wanted[start : start + READ_AT_ONCE]))
        return len(wanted)

    def listeners(self, commands: str) -> Mapping[str, Listener]:
        """Answer commands, and what a sale looks like."""
        return {
            commands + wire.WIRE.suffix: self._desk.on_commands,
            wire.sale_get_subject(self._term.config.cell): self._on_get,
        }

    def background(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Keep the gate, and bring about what is due."""
        return self._gatekeeper.run(), self._writer.run_clock()

    def abdicate(self) -> None:
        """Decide nothing more."""
        self._desk.closed = True

    async def stop(self) -> None:
        """Finish and remember what is over."""
        await self._writer.stop()
        self._finished.save()

    async def _on_get(self, message: Msg) -> None:
        """Answer what a sale looks like; nil when there is none, nothing when that cannot be told now."""

        def done(answer: Answer) -> None:
            payload = b""
            if isinstance(answer, SaleFound):
                payload = shown(_decode_view(answer.view))
            elif isinstance(answer, Refusal) and answer.code == "not_found":
                payload = _NOBODY
            self._term.outbox.put(message.reply, payload)

        command = GetSale(message.data.decode(errors="replace"))
        self._submit(command, self._term.clock.now() + GET_MS, done)

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
