"""A failpoint fires once, at its n-th passage, and a setting that means nothing is refused at the start."""

import os
import signal
import subprocess
import sys

import pytest

from cells.failpoints import NAMES, FailpointReached, parse
from cells.trouble import Trouble

PASS = "from cells.failpoints import hit; hit('checkout.started'); print('alive')"


def run(setting: str | None, program: str = PASS) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "TITAN_FAILPOINT"}
    if setting is not None:
        environment["TITAN_FAILPOINT"] = setting
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_unset_it_does_nothing():
    assert parse(None) is None
    assert parse("") is None
    assert run(None).stdout == "alive\n"


def test_it_fires_once_at_the_nth_passage():
    point = parse("checkout.started:raise:2")
    assert point is not None
    point.passed("checkout.started")
    point.passed("checkout.booked")
    with pytest.raises(FailpointReached):
        point.passed("checkout.started")
    point.passed("checkout.started")


def test_kill_ends_the_process_without_a_word():
    killed = run("checkout.started:kill")
    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout == ""


@pytest.mark.parametrize(
    "setting",
    (
        "nowhere:kill",
        "checkout.started",
        "checkout.started:dance",
        "checkout.started:kill:0",
        "checkout.started:kill:1:1",
    ),
)
def test_a_setting_that_means_nothing_is_refused(setting):
    with pytest.raises(Trouble) as refused:
        parse(setting)
    assert all(name in str(refused.value) for name in NAMES)
    assert run(setting).returncode == 1
