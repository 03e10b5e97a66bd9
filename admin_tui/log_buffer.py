"""The lines of a log that were asked for: a window that grows at both ends. PURE."""

from collections.abc import Iterable, Sequence
from typing import Final

from admin_tui.answers import Lines
from admin_tui.wire import Line

# Full policy: with so many lines, following the log drops the oldest, and looking further back stops.
MAX_LINES: Final = 1000
KINDS: Final = frozenset(
    {"sale", "room", "cnv", "pay", "usr", "prd", "opr", "whk", "dlv", "psh", "cur", "bank", "idm"}
)


class LogBuffer:
    """Lines by position, the newest first. All between `start` and `end` was looked at."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, int], Line] = {}
        self.start = 0
        self.end = 0
        self.first = 0

    @property
    def lines(self) -> Sequence[Line]:
        """The lines, the newest first."""
        return [self._lines[key] for key in sorted(self._lines, reverse=True)]

    @property
    def is_full(self) -> bool:
        """No more fit."""
        return len(self._lines) >= MAX_LINES

    @property
    def has_older(self) -> bool:
        """The log goes further back than was looked at."""
        return bool(self.end) and self.start > max(1, self.first)

    def begin(self, page: Lines) -> None:
        """Hold just this page."""
        self._lines.clear()
        self._take(page.items)
        self.first, self.start, self.end = page.first, page.start, page.end

    def newer(self, page: Lines) -> None:
        """Go on behind the newest; what is too many falls off the old end."""
        self._take(page.items)
        self.end = max(self.end, page.end)
        for key in sorted(self._lines)[: max(0, len(self._lines) - MAX_LINES)]:
            del self._lines[key]
            self.start = key[0] + 1

    def older(self, page: Lines) -> None:
        """Go on before the oldest."""
        self._take(page.items)
        self.start = min(self.start, page.start)

    def add(self, line: Line) -> None:
        """Hold one line more, from wherever."""
        self._take([line])

    def _take(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._lines[line.position, line.index] = line


def subject_of(typed: str) -> str:
    """Return the subject pattern that is meant: `sale.>` is `log.*.sale.>`, `*.room.*` is `log.*.room.*`."""
    typed = typed.strip()
    if not typed or typed == ">" or typed.startswith("log."):
        return typed
    return f"log.*.{typed}" if typed.split(".")[0] in KINDS else f"log.{typed}"


def subject_of_line(line: Line) -> str:
    """Return the subject of the aggregate that a line is about, in whatever slot it is."""
    return f"log.*.{line.kind}.{line.key}"
