"""Memory of processes: of the whole tree, and measured seldom."""

import os
import subprocess
import sys

import psutil
import pytest

from cells.supervisor import memory
from cells.supervisor.memory import Meter, of_tree

HUNGRY = "import sys, time; kept = bytearray(40 << 20); print(1, flush=True); sys.stdin.read()"


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hungry():
    with subprocess.Popen(
        [sys.executable, "-c", HUNGRY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def test_descendants_count(hungry):
    alone = psutil.Process().memory_info().rss

    assert of_tree(os.getpid(), proportional=False) >= alone + (40 << 20)
    assert of_tree(hungry.pid, proportional=True) >= 40 << 20


def test_the_kernels_lists_say_what_psutil_says(hungry, monkeypatch):
    listed = {each.pid for each in memory._tree(psutil.Process())}
    monkeypatch.setattr(memory, "_LISTS_CHILDREN", False)

    assert listed == {each.pid for each in memory._tree(psutil.Process())} >= {os.getpid(), hungry.pid}


def test_a_process_that_ended_has_none(hungry):
    hungry.kill()
    hungry.wait()

    assert of_tree(hungry.pid, proportional=False) == 0


def test_a_tree_is_measured_at_most_every_five_seconds(monkeypatch):
    measured = []

    def of_tree(pid: int, *, proportional: bool) -> int:
        measured.append((pid, proportional))
        return 7

    monkeypatch.setattr(memory, "of_tree", of_tree)
    seconds = Seconds()
    meter = Meter(seconds)
    for seconds.now in (0.0, 1.0, 4.9, 5.0, 6.0):
        assert meter.of_tree(1, proportional=True) == 7

    assert measured == [(1, True)] * 2
