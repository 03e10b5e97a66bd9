"""Lines for the person who started Titan, here or through the process that waits for a detached start."""

import os
import sys
import time
from typing import Protocol

from cells.supervisor.output import printable

GREEN, YELLOW, RED, BLUE, DIM, BOLD, PLAIN = "32", "33", "31", "36", "2", "1", "0"
_PREFIX = ("36", "35", "34", "32", "33", "95", "96", "94")
# A process that fails in a circle writes the same line for ever; its log has them all.
SHOWN_PER_SECOND = 20


class Stream(Protocol):
    """What a console writes to."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class Console:
    """Prints, with colour where the stream is a terminal. A stream that went away is forgotten."""

    def __init__(self, stream: Stream | None = None) -> None:
        self._stream: Stream | None = stream if stream is not None else sys.stdout
        wants_colour = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.colour = wants_colour and self._stream is not None and self._stream.isatty()
        self._second = 0
        self._shown = 0

    def paint(self, text: str, *codes: str) -> str:
        return f"\033[{';'.join(codes)}m{text}\033[0m" if self.colour and codes else text

    def line(self, text: str = "") -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def done(self, text: str, seconds: float | None = None) -> None:
        took = "" if seconds is None else self.paint(f"{seconds:6.1f}s", DIM)
        self.line(f"  {self.paint('✔', GREEN)} {text:<64}{took}".rstrip())

    def note(self, text: str) -> None:
        self.line(f"  {self.paint('·', BLUE)} {text}")

    def warn(self, text: str) -> None:
        self.line(f"  {self.paint('!', YELLOW)} {text}")

    def from_process(self, name: str, level: str, text: str) -> None:
        """A warning or an error of a process, with its name in its colour."""
        second = int(time.monotonic())
        if second != self._second:
            if self._shown > SHOWN_PER_SECOND:
                self.line(f"  … {self._shown - SHOWN_PER_SECOND} more lines: titan logs")
            self._second, self._shown = second, 0
        self._shown += 1
        if self._shown > SHOWN_PER_SECOND:
            return
        colour = _PREFIX[sum(name.encode()) % len(_PREFIX)]
        shade = RED if level in {"error", "critical"} else YELLOW
        self.line(f"{self.paint(f'{name:>9}', colour)} {self.paint(level, shade)} {printable(text)[:400]}")
