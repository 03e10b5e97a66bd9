"""Rooms and conversations as the leading writer serves them."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from cells.engine.desk import Desk, Outbox
from cells.engine.hot import Changed
from cells.engine.writer import Writer
from cells.kernel.ids import BadId, slot_in
from realtime import events
from server.chat import wire
from server.chat.commands import Answer, Command, CursorsMoved, MoveCursors, Refusal
from server.chat.frames import shown
from server.chat.model import CONVERSATION, ROOM, Channel, MemberBanned, MemberUnbanned, s_of
from server.chat.receipts import Receipts
from server.chat.rules import ChatRules
from server.leading import Listener, Term

KEPT = 4_096
FLUSH_SECONDS = 0.1
LAST_FLUSH_SECONDS = 1.0
CURSOR_MS = 2_000

_encode = msgspec.msgpack.Encoder().encode


class ChannelWatcher:
    """Tells every durable event to all hubs, and whose access is another one now."""

    def __init__(self, outbox: Outbox, cell: str) -> None:
        self._outbox = outbox
        self._cell = cell

    def loaded(self, change: Changed) -> None:
        """Nothing has happened."""

    def changed(self, change: Changed) -> None:
        """Tell what happened."""
        channel: Channel = change.state
        previous = s_of(channel.positions, channel.before)
        framed = [each.event for each in shown(change.events, change.position, previous)]
        if framed:
            subject = events.live_subject(self._cell, wire.channel_kind(change.key), change.key)
            self._outbox.put(subject, _encode(framed))
        for event in change.events:
            if isinstance(event, MemberBanned | MemberUnbanned):
                changed = events.AccessChanged(wire.channel_name(change.key), event.user)
                self._outbox.put(events.access_subject(self._cell), _encode(changed))

    def unloaded(self, key: str) -> None:
        """Nothing has happened."""


class ChatFamily:
    """`Family` of rooms and conversations. They are read when somebody comes; the least recent leave the memory."""

    name = "chat"

    def __init__(self, term: Term) -> None:
        self._term = term
        watcher = ChannelWatcher(term.outbox, term.config.cell)
        self._writers = {kind: self._writer(kind, watcher) for kind in (ROOM, CONVERSATION)}
        family = f'family="{self.name}"'
        term.metrics.gauge("titan_writer_queue", self._queued, family)
        taken = term.metrics.counter("titan_commands_total", family)
        self._desk: Desk[Command, Answer] = Desk(self._take, wire.WIRE, term.outbox.put, taken)
        self._receipts = Receipts()

    def _writer(self, kind: str, watcher: ChannelWatcher) -> Writer[Channel, Command]:
        return Writer(
            self._term.log,
            ChatRules(kind),
            self._term.clock,
            watcher,
            term=self._term.number,
            name=self._term.writer,
            on_superseded=self._term.superseded,
            kept=KEPT,
            metrics=self._term.metrics,
        )

    def _queued(self) -> int:
        return sum(writer.queued for writer in self._writers.values())

    async def load(self) -> int:
        """Read nothing."""
        return 0

    def listeners(self, commands: str) -> Mapping[str, Listener]:
        """Answer commands."""
        return {commands + wire.WIRE.suffix: self._desk.on_commands}

    def background(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Write down cursors that were held back."""
        return (self._flush_receipts(),)

    def abdicate(self) -> None:
        """Decide nothing more."""
        self._desk.closed = True

    async def stop(self) -> None:
        """Write down the last cursors and finish."""
        if not self._desk.closed:
            await self._write_rest()
        for writer in self._writers.values():
            await writer.stop()

    async def _flush_receipts(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            now = self._term.clock.now()
            for command in self._receipts.due(now):
                self._submit(command, now + CURSOR_MS, _ignore)

    async def _write_rest(self) -> None:
        written: list[asyncio.Future[Answer]] = []
        deadline = self._term.clock.now() + CURSOR_MS
        for command in self._receipts.rest():
            done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            written.append(done)
            self._submit(command, deadline, done.set_result)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_FLUSH_SECONDS):
                await asyncio.gather(*written)

    def _take(self, command: Command, deadline: int, done: Callable[[Answer], None]) -> None:
        if not isinstance(command, MoveCursors):
            self._submit(command, deadline, done)
            return
        now = self._term.clock.now()
        held = self._receipts.take(command, now)
        if held is not None:
            done(held)
            return

        def moved(answer: Answer) -> None:
            if isinstance(answer, CursorsMoved):
                self._receipts.accepted(command, answer, now)
            done(answer)

        self._submit(command, deadline, moved)

    def _submit(self, command: Command, deadline: int, done: Callable[[Answer], None]) -> None:
        try:
            slot = slot_in(command.key)
        except BadId:
            done(Refusal("not_found", "there is no such channel"))
            return
        kind = CONVERSATION if wire.channel_kind(command.key) == "chat" else ROOM
        self._writers[kind].submit(slot, command.key, command, deadline, done)


def _ignore(_: Answer) -> None:
    """The cursor's client was answered before."""
