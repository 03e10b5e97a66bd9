"""Resident memory of processes, in bytes."""

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil

FRESH_SECONDS = 5.0

# Some kernels are built without these lists.
_LISTS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


class Meter:
    """Measures trees of processes, each at most every 5 s: somebody may ask for them every second."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[int, tuple[float, int]] = {}

    def of_tree(self, pid: int, *, proportional: bool) -> int:
        """Like the function of that name, or what it answered a moment ago."""
        now = self._monotonic()
        self._known = {key: found for key, found in self._known.items() if now - found[0] < FRESH_SECONDS}
        if pid not in self._known:
            self._known[pid] = (now, of_tree(pid, proportional=proportional))
        return self._known[pid][1]


def of_tree(pid: int, *, proportional: bool) -> int:
    """Memory of the process and its descendants.

    `proportional` divides shared pages among their users (PSS): the sum of the resident sizes of Postgres would
    count its shared buffers once a process.
    """
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in _tree(psutil.Process(pid)):
            with contextlib.suppress(psutil.Error):
                total += _proportional(process) if proportional else int(process.memory_info().rss)
    return total


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
