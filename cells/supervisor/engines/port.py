"""What the supervisor asks of an engine, bundled or external."""

import os
import signal
import sys
from pathlib import Path
from typing import Protocol

from cells.settings import HOME
from cells.supervisor.child import Launch


class Engine(Protocol):
    """A bundled engine. `probe` raises OSError, TimeoutError or EOFError for as long as it does not answer."""

    name: str
    version: str
    stop_signal: signal.Signals

    @property
    def address(self) -> str:
        """For the banner, without secrets."""
        ...

    @property
    def url(self) -> str:
        """For the application, with its credentials."""
        ...

    async def prepare(self) -> Launch:
        """Make what is missing and say how to start; runs before every start."""
        ...

    async def probe(self) -> None: ...

    async def give_up(self) -> bool:
        """The engine does not stay up. Throw away what is disposable, once; True where there is a new hope."""
        ...

    def remove(self) -> None:
        """Remove what was made for the run."""
        ...


def bound_to_us(command: list[str], owner: str = "-", niceness: int = 0) -> tuple[str, ...]:
    """The command behind the launcher that ties its life to the supervisor's and changes its user."""
    return (sys.executable, "-S", "-P", "-m", "cells.supervisor.launch", owner, str(niceness), *command)


def environment(**extra: str) -> dict[str, str]:
    """A small and known environment: an engine gets none of the shell's variables, secrets or locale."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "PYTHONPATH": str(HOME), **extra}


def executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
