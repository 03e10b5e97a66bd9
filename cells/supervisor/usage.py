"""What processes take: resident memory in bytes, and of the processor."""

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

FRESH_SECONDS = 5.0

# Some kernels are built without these lists.
_LISTS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


class Taken(msgspec.Struct, frozen=True):
    """What a process and its descendants take. `cpu_seconds` since they were started, those that ended included."""

    rss: int = 0
    cpu_seconds: float = 0.0


class Usage(msgspec.Struct, frozen=True):
    """`rss` in bytes, `cpu` as a share of one core since the measurement before; 0 at the first one."""

    rss: int = 0
    cpu: float = 0.0


class _Measured(msgspec.Struct, frozen=True):
    at: float
    taken: Taken
    usage: Usage


class Meter:
    """Measures trees of processes, each at most every 5 s: somebody may ask for them every second."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[int, _Measured] = {}

    def of_tree(self, pid: int, *, proportional: bool) -> Usage:
        """Answer what the tree of a process takes, now or a moment ago; `proportional` as for `of_tree`."""
        now = self._monotonic()
        known = self._known.get(pid)
        if known is None or now - known.at >= FRESH_SECONDS:
            taken = of_tree(pid, proportional=proportional)
            cpu = 0.0
            if known is not None:
                cpu = max(0.0, taken.cpu_seconds - known.taken.cpu_seconds) / (now - known.at)
            known = self._known[pid] = _Measured(now, taken, Usage(taken.rss, cpu))
        return known.usage

    def forget_all_but(self, pids: set[int]) -> None:
        """Forget processes that ended: their numbers may come again."""
        self._known = {pid: known for pid, known in self._known.items() if pid in pids}


def of_tree(pid: int, *, proportional: bool) -> Taken:
    """Measure a process and its descendants; nothing for one that ended.

    `proportional` divides shared pages among their users (PSS): the sum of the resident sizes of Postgres would
    count its shared buffers once a process.
    """
    rss, seconds = 0, 0.0
    with contextlib.suppress(psutil.Error):
        for process in _tree(psutil.Process(pid)):
            with contextlib.suppress(psutil.Error):
                rss += _proportional(process) if proportional else int(process.memory_info().rss)
                times = process.cpu_times()
                seconds += times.user + times.system + times.children_user + times.children_system
    return Taken(rss, seconds)


def _tree(root: psutil.Process) -> list[psutil.Process]:
    """Return a process and its descendants. psutil would read all of /proc for them."""
    if not _LISTS_CHILDREN:
        return [root, *root.children(recursive=True)]
    found, left = [root], [root.pid]
    while left:
        children = _children(left.pop())
        left += children
        for child in children:
            with contextlib.suppress(psutil.Error):
                found.append(psutil.Process(child))
    return found


def _children(pid: int) -> list[int]:
    """Return the children that the threads of a process made; none for one that ended."""
    listed = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            listed += (thread / "children").read_text(encoding="ascii").split()
    return [int(child) for child in listed]


def _proportional(process: psutil.Process) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii"))
    except OSError:
        found = None
    return int(found[1]) * 1024 if found else int(process.memory_info().rss)
