"""Resident memory of processes, in bytes."""

import contextlib
import re
from pathlib import Path

import psutil

_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def of_tree(pid: int, *, proportional: bool) -> int:
    """Memory of the process and its descendants.

    `proportional` divides shared pages among their users (PSS): the sum of the resident sizes of Postgres would
    count its shared buffers once a process.
    """
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += _proportional(process) if proportional else int(process.memory_info().rss)
    return total


def _proportional(process: psutil.Process) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii"))
    except OSError:
        found = None
    return int(found[1]) * 1024 if found else int(process.memory_info().rss)
