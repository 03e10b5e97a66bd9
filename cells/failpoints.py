"""Named points at which a crash test lets a process die: `TITAN_FAILPOINT=<name>:kill|stop|raise[:nth]`.

Every process of a cell inherits the variable and counts for itself; the n-th passage (the first, unless said)
fires, once. Unset, a point costs one comparison with None.
"""

import os
import signal
from collections.abc import Callable
from typing import Literal, get_args

from cells.trouble import Trouble

VARIABLE = "TITAN_FAILPOINT"

Name = Literal[
    # A confirm in `api`, between its steps:
    "checkout.started",  # the attempt is in the log, the provider was not asked
    "checkout.booked",  # the provider has answered, the log does not know
    "checkout.authorised",  # the log knows, the hold is not confirmed
    "checkout.confirmed",  # the order exists, nothing is captured
    "checkout.charged",  # the provider has captured, the log does not know
    "checkout.captured",  # all is done, nobody was answered
    # The same steps when the recovery saga takes them:
    "recovery.booked",
    "recovery.authorised",
    "recovery.confirmed",
    "recovery.charged",
    "recovery.captured",
]
NAMES: tuple[str, ...] = get_args(Name)


class FailpointReached(BaseException):
    """Thrown by `raise`. Like a crash, it passes every handler of ordinary exceptions."""


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise() -> None:
    raise FailpointReached


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "stop": _stop, "raise": _raise}


class Failpoint:
    """One armed point."""

    def __init__(self, name: str, action: str, nth: int) -> None:
        self.name = name
        self._act = _ACTIONS[action]
        self._left = nth

    def passed(self, name: str) -> None:
        """Count a passage; act on the n-th."""
        if name != self.name or self._left == 0:
            return
        self._left -= 1
        if self._left == 0:
            self._act()


def parse(setting: str | None) -> Failpoint | None:
    """Read the variable; None when it is unset. Raises `Trouble` on a name, action or count that is none."""
    if not setting:
        return None
    name, action, nth = (*setting.split(":"), "", "")[:3]
    count = nth or "1"
    if name in NAMES and action in _ACTIONS and setting.count(":") <= 2 and count.isdigit() and int(count):
        return Failpoint(name, action, int(count))
    raise Trouble(
        f"{VARIABLE}={setting} is no failpoint.",
        f"It has to be <name>:{'|'.join(_ACTIONS)}[:nth] with a name of: {', '.join(NAMES)}.",
        f"unset {VARIABLE}",
    )


_armed = parse(os.environ.get(VARIABLE))


def hit(name: Name) -> None:
    """Pass a point."""
    if _armed is not None:
        _armed.passed(name)
