"""What processes write: filed in bounded logs, the last lines kept for error messages, warnings passed on."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

LIMIT_BYTES = 4 * 1024 * 1024  # a log and its one predecessor: at most 8 MiB a process
LONGEST_LINE = 16 * 1024
# Said at every start and of no use to anybody: the passwords are random and in a file of mode 0600.
_KNOWN = re.compile(r"Plaintext passwords detected")
_ENGINE_WARNING = re.compile(r"\[(WRN|ERR|FTL)\]|\b(WARNING|ERROR|FATAL|PANIC):|^\d+:\w .* # ")


class LogFile:
    """Appends to `path`; past the limit the file becomes `<path>.1` and a new one begins."""

    def __init__(self, path: Path, limit: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit = limit
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    def write(self, chunk: bytes) -> None:
        try:
            self._file.write(chunk)
            self._size += len(chunk)
            if self._size >= self._limit:
                self._file.close()
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                self._file = self._path.open("ab", buffering=0)
                self._size = 0
        except OSError:
            # A full disk must not stop the pump: the process would block on its next line and hang.
            self._size = 0

    def close(self) -> None:
        self._file.close()


class LogStream:
    """A log file as the stream of a console."""

    def __init__(self, path: Path) -> None:
        self._log = LogFile(path)

    def write(self, text: str) -> None:
        self._log.write(text.encode(errors="replace"))

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return False


class Entry(msgspec.Struct):
    """The part of a JSON log line that a terminal shows."""

    level: str = "info"
    event: str = ""
    exception: str = ""
    reason: str = ""
    error: str = ""
    detail: str = ""


def warning_in(line: str, *, ours: bool) -> tuple[str, str] | None:
    """(level, text) where the line is worth a person's attention. `ours`: it is from a role, not from an engine."""
    if not ours:
        heard = _ENGINE_WARNING.search(line) and not _KNOWN.search(line)
        return ("warning", line) if heard else None
    if not line.startswith("{"):
        return ("warning", line) if line.strip() else None
    try:
        entry = msgspec.json.decode(line, type=Entry)
    except msgspec.DecodeError:
        return ("warning", line)
    if entry.level in {"debug", "info"}:
        return None
    last = entry.exception.strip().rpartition("\n")[2]
    extra = next((text for text in (entry.reason, entry.error, entry.detail, last) if text), "")
    return entry.level, f"{entry.event}: {extra}" if extra else entry.event


class Output:
    """The output of one process over all its restarts."""

    def __init__(
        self,
        path: Path,
        *,
        ours: bool,
        show: Callable[[str, str], None],
        alarm: tuple[re.Pattern[str], Callable[[str], None]] | None = None,
    ) -> None:
        self.path = path
        self.last: deque[str] = deque(maxlen=12)
        self._log = LogFile(path)
        self._ours = ours
        self._show = show
        self._alarm = alarm

    async def pump(self, stream: asyncio.StreamReader) -> None:
        """File everything that comes until the stream ends."""
        rest = b""
        while chunk := await stream.read(65536):
            self._log.write(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._note(line)
            rest = rest[-LONGEST_LINE:]
        if rest:
            self._note(rest)

    def _note(self, raw: bytes) -> None:
        line = raw[:LONGEST_LINE].decode(errors="replace")
        if line.strip():
            self.last.append(line)
        if self._alarm is not None and self._alarm[0].search(line):
            self._alarm[1](line)
        if found := warning_in(line, ours=self._ours):
            self._show(*found)

    def explain(self) -> str:
        """The end of the output, for the message about a process that failed."""
        shown: dict[str, None] = {}  # a process that was started several times says the same each time
        for line in self.last:
            found = warning_in(line, ours=self._ours)
            text = found[1] if found and line.startswith("{") else line
            shown[printable(text)[:300]] = None
        return "\n        ".join(list(shown)[-6:])

    def close(self) -> None:
        self._log.close()


def printable(text: str) -> str:
    """Text that cannot steer a terminal: control characters become `?`."""
    return "".join(c if c.isprintable() or c == "\t" else "?" for c in text)
