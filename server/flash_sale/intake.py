"""Holds on their way in: all that arrive while the gate is being asked go to it, and on to the writer, together."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from server.flash_sale.gate import Entry, Gate, Verdict
from server.flash_sale.model import Answer, Command, HoldUnits, Refusal

WAITING = 20_000
ROUND = 512

_OVERLOADED = Refusal("overloaded", "too many holds are waiting", 1000)
_REFUSALS = {
    "not_open": Refusal("not_open", "the sale is not open"),
    "limit_reached": Refusal("limit_reached", "no more units of this sale are left to you"),
    "sold_out": Refusal("sold_out", "no units are available"),
}


class Queue(Protocol):
    """Where holds go that passed the gate."""

    def enqueue(self, command: Command, answered: asyncio.Future[Answer]) -> None:
        """Send the command to the writer; `answered` gets its answer."""


class _Waiting(msgspec.Struct, frozen=True):
    entry: Entry
    slot: int
    answered: asyncio.Future[Answer]


class Intake:
    """One round is at the gate at a time; the next holds whatever came meanwhile. Full: `overloaded`.

    `new_id(slot)` names a hold that passed; those that are turned away need no name.
    """

    def __init__(self, gate: Gate, writer: Queue, new_id: Callable[[int], str]) -> None:
        self._gate = gate
        self._writer = writer
        self._new_id = new_id
        self._queue: deque[_Waiting] = deque()
        self._round: asyncio.Task[None] | None = None

    async def hold(self, entry: Entry, slot: int) -> Answer:
        """Return the answer of the gate or of the writer. `slot` is the sale's."""
        if len(self._queue) >= WAITING:
            return _OVERLOADED
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(entry, slot, answered))
        if self._round is None:
            self._round = asyncio.create_task(self._run())
        return await answered

    async def _run(self) -> None:
        try:
            await asyncio.sleep(0)  # lets the rest of this turn's holds join the round
            while self._queue:
                waiting = [self._queue.popleft() for _ in range(min(len(self._queue), ROUND))]
                verdicts = await self._gate.check([w.entry for w in waiting])
                for w, verdict in zip(waiting, verdicts, strict=True):
                    if not w.answered.done():
                        self._settle(w, verdict)
        finally:
            self._round = None

    def _settle(self, w: _Waiting, verdict: Verdict) -> None:
        if verdict.code:
            refusal = _REFUSALS.get(verdict.code)
            w.answered.set_result(refusal or Refusal(verdict.code, "", verdict.retry_after_ms))
            return
        entry = w.entry
        command = HoldUnits(entry.sale_id, self._new_id(w.slot), entry.buyer_id, entry.quantity, entry.key)
        self._writer.enqueue(command, w.answered)
