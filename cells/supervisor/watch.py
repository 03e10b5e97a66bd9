"""How a process is known to live: a role reports by itself, an engine is asked."""

import asyncio
import contextlib
import math
import os
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import msgspec

from cells.process import GATE_VARIABLE, STATUS_VARIABLE

HUNG_SECONDS = 15.0
RECOVERY_SECONDS = 180.0  # an engine may read a long log before it answers for the first time
PROBE_SECONDS = 5.0  # between probes of an engine that runs
FIRST_PROBE_SECONDS = 0.02  # between probes of one that starts
PROBE_DEADLINE = 2.0

ChildState = Literal[
    "starting", "running", "standby", "fenced", "draining", "restarting", "crash-loop", "stopped"
]
READY = frozenset({"running", "standby", "fenced"})
Tell = Callable[[ChildState, str], None]
_REPORTED: dict[str, ChildState] = {
    "starting": "starting",
    "serving": "running",
    "standby": "standby",
    "fenced": "fenced",
    "draining": "draining",
}


class Report(msgspec.Struct, frozen=True):
    """A line of the status pipe."""

    state: str
    detail: str = ""


class Watch(Protocol):
    """Follows one process at a time; `open`, `inherited` and `follow` in this order for each start."""

    def open(self) -> tuple[dict[str, str], tuple[int, ...]]:
        """What the process inherits: variables and descriptors."""
        ...

    def inherited(self) -> None:
        """The process has what `open` gave, or could not be started."""
        ...

    async def follow(self, tell: Tell) -> None:
        """Call `tell` at every sign of life. Raises Trouble where the process must not go on."""
        ...

    def patience(self, *, ready: bool) -> float:
        """Seconds of silence after which the process counts as hung."""
        ...


class Reports:
    """A role's status pipe. With a gate, the role loads its code at once and starts its work when that opens."""

    def __init__(self, gate: asyncio.Event | None = None, hung_after: float = HUNG_SECONDS) -> None:
        self._gate = gate if gate is not None else asyncio.Event()
        if gate is None:
            self._gate.set()
        self._hung_after = hung_after
        self._theirs: tuple[int, int] = (-1, -1)
        self._status, self._latch = -1, -1

    def open(self) -> tuple[dict[str, str], tuple[int, ...]]:
        self._status, status = os.pipe()
        gate, self._latch = os.pipe()
        self._theirs = (status, gate)
        return {STATUS_VARIABLE: str(status), GATE_VARIABLE: str(gate)}, self._theirs

    def inherited(self) -> None:
        for descriptor in self._theirs:
            os.close(descriptor)

    async def follow(self, tell: Tell) -> None:
        opener = asyncio.create_task(self._open_gate(self._latch, tell))
        stream = asyncio.StreamReader(limit=8192)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(self._status, "rb", buffering=0)
        )
        try:
            while line := await stream.readline():
                with contextlib.suppress(msgspec.DecodeError, KeyError):
                    report = msgspec.json.decode(line, type=Report)
                    tell(_REPORTED[report.state], report.detail)
        finally:
            transport.close()
            opener.cancel()
            await asyncio.gather(opener, return_exceptions=True)

    async def _open_gate(self, latch: int, tell: Tell) -> None:
        try:
            await self._gate.wait()
            tell("starting", "")
        finally:
            os.close(latch)

    def patience(self, *, ready: bool) -> float:
        del ready
        return self._hung_after if self._gate.is_set() else math.inf


class Probes:
    """An engine: ready when `probe` passes and `verify` after it, alive for as long as `probe` goes on passing.

    `probe` raises OSError, TimeoutError or EOFError where there is no answer.
    """

    def __init__(
        self, probe: Callable[[], Awaitable[None]], verify: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._probe = probe
        self._verify = verify

    def open(self) -> tuple[dict[str, str], tuple[int, ...]]:
        return {}, ()

    def inherited(self) -> None:
        """Nothing was given."""

    async def follow(self, tell: Tell) -> None:
        while not await self._answers():  # noqa: ASYNC110 - an engine cannot tell that it is ready
            await asyncio.sleep(FIRST_PROBE_SECONDS)
        if self._verify is not None:
            await self._verify()
        tell("running", "")
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if await self._answers():
                tell("running", "")

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_DEADLINE):
                await self._probe()
        except (OSError, TimeoutError, EOFError):
            return False
        return True

    def patience(self, *, ready: bool) -> float:
        return HUNG_SECONDS if ready else RECOVERY_SECONDS
