"""What processes take: of the whole tree, and measured seldom."""

import os
import subprocess
import sys

import psutil
import pytest

from cells.supervisor import usage
from cells.supervisor.usage import Meter, Taken, Usage, of_tree

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
    spent = sum(psutil.Process().cpu_times()[:2])

    ours = of_tree(os.getpid(), proportional=False)
    theirs = of_tree(hungry.pid, proportional=True)

    assert ours.rss >= alone + (40 << 20)
    assert theirs.rss >= 40 << 20
    assert theirs.cpu_seconds > 0
    assert ours.cpu_seconds >= spent + theirs.cpu_seconds


def test_the_kernels_lists_say_what_psutil_says(hungry, monkeypatch):
    listed = {each.pid for each in usage._tree(psutil.Process())}
    monkeypatch.setattr(usage, "_LISTS_CHILDREN", False)

    assert listed == {each.pid for each in usage._tree(psutil.Process())} >= {os.getpid(), hungry.pid}


def test_a_process_that_ended_takes_nothing(hungry):
    hungry.kill()
    hungry.wait()

    assert of_tree(hungry.pid, proportional=False) == Taken()


@pytest.fixture
def metered(monkeypatch):
    """A meter of a process that takes a quarter of a core; its time; and how often it was looked at."""
    seconds, looks = Seconds(), []

    def of_tree(pid: int, *, proportional: bool) -> Taken:
        looks.append((pid, proportional))
        return Taken(7, 100 + seconds.now / 4)

    monkeypatch.setattr(usage, "of_tree", of_tree)
    return Meter(seconds), seconds, looks


def test_a_tree_is_measured_at_most_every_five_seconds(metered):
    meter, seconds, looks = metered

    shown = []
    for seconds.now in (0.0, 1.0, 4.9, 5.0, 6.0):
        shown.append(meter.of_tree(1, proportional=True))

    assert shown == [Usage(7, 0.0)] * 3 + [Usage(7, 0.25)] * 2
    assert looks == [(1, True)] * 2


def test_a_number_that_comes_again_begins_anew(metered):
    meter, seconds, _ = metered

    meter.of_tree(1, proportional=False)
    meter.of_tree(2, proportional=False)
    meter.forget_all_but({2})
    seconds.now = 8.0

    assert meter.of_tree(1, proportional=False).cpu == 0.0
    assert meter.of_tree(2, proportional=False).cpu == 0.25
