"""High-water marks outside JetStream: what the log had reached, in small fsynced files.

They are the only way to notice that a log came back shorter or other than it was: nats-server itself
drops what it cannot read without a word, and gives the positions away again.
"""

import asyncio
import contextlib
import os
from pathlib import Path

import msgspec

from cells.log.port import Mark

INTERVAL = 0.1
SIZE = 256

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Mark)


def write(path: Path, mark: Mark) -> None:
    """Write a mark over the one before; it is on disk when this returns.

    The file keeps its size and its place: syncing it then touches no directory and no journal of the file system,
    which would make every fsync of the log beside it wait. A torn mark is no mark; the other processes have theirs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, _encoder.encode(mark).ljust(SIZE), 0)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def advance(path: Path, mark: Mark) -> None:
    """Write a mark unless the file has a later one of the same log: several workers of a role share a file."""
    with contextlib.suppress(msgspec.MsgspecError, OSError):
        there = _decoder.decode(path.read_bytes())
        if there.epoch == mark.epoch and there.position >= mark.position:
            return
    write(path, mark)


def highest(folder: Path) -> Mark | None:
    """Return the mark that reached furthest. A torn or foreign file counts as no mark."""
    found: list[Mark] = []
    for path in folder.glob("*.json"):
        with contextlib.suppress(msgspec.MsgspecError, OSError):
            found.append(_decoder.decode(path.read_bytes()))
    return max(found, key=lambda m: m.position, default=None)


class MarkKeeper:
    """Writes the newest mark of one process, at most every 100 ms and once more at the end."""

    def __init__(self, folder: Path, process: str) -> None:
        self._path = folder / f"{process}.json"
        self._newest: Mark | None = None
        self._changed = asyncio.Event()

    @property
    def folder(self) -> Path:
        """Where the marks of all processes of the cell lie."""
        return self._path.parent

    def note(self, mark: Mark) -> None:
        """Remember a mark if it is further than the last one."""
        if self._newest is None or mark.position > self._newest.position or mark.epoch != self._newest.epoch:
            self._newest = mark
            self._changed.set()

    async def run(self) -> None:
        """Write until cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                if self._newest is not None:
                    await asyncio.to_thread(advance, self._path, self._newest)
                await asyncio.sleep(INTERVAL)
        finally:
            if self._newest is not None:
                advance(self._path, self._newest)
