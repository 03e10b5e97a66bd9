"""Cursors on their way to the log: at most one command a second for each person and channel, the newest wins."""

import msgspec

from server.chat.commands import CursorsMoved, MoveCursors

PACE_MS = 1_000
MOST_HELD = 20_000


class _Known(msgspec.Struct):
    at: int
    delivered: int
    read: int
    held: bool = False


class Receipts:
    """What a person's cursors came to lately. What is held counts, and is in the log within a second.

    A crash may forget what was held; the client tells its cursors again when it comes back.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}
        self._held: dict[tuple[str, str], None] = {}

    def take(self, command: MoveCursors, now: int) -> CursorsMoved | None:
        """Hold a command back and return its answer; None: it has to go to the writer now.

        Only those are held whose last one the writer accepted within the last second. Full: nothing is held.
        """
        at = (command.key, command.user)
        known = self._known.get(at)
        if known is None or now - known.at >= PACE_MS or len(self._held) >= MOST_HELD:
            return None
        delivered = max(known.delivered, command.delivered, command.read)
        read = max(known.read, command.read)
        if (delivered, read) != (known.delivered, known.read):
            known.delivered, known.read, known.held = delivered, read, True
            self._held[at] = None
        return CursorsMoved(delivered, read)

    def accepted(self, command: MoveCursors, moved: CursorsMoved, now: int) -> None:
        """Note where the writer says the cursors stand."""
        at = (command.key, command.user)
        known = self._known.get(at)
        if known is None or not known.held:
            self._known[at] = _Known(now, moved.delivered, moved.read)

    def due(self, now: int) -> list[MoveCursors]:
        """Return the commands whose second is over, and forget those whom nothing was heard of for one."""
        over = [at for at in self._held if now - self._known[at].at >= PACE_MS]
        commands = [MoveCursors(*at, self._known[at].delivered, self._known[at].read) for at in over]
        for at in over:
            del self._held[at]
            self._known[at] = _Known(now, self._known[at].delivered, self._known[at].read)
        for at in [a for a, known in self._known.items() if now - known.at >= PACE_MS and not known.held]:
            del self._known[at]
        return commands

    def rest(self) -> list[MoveCursors]:
        """Return all commands that are held, and hold none."""
        commands = [MoveCursors(*at, self._known[at].delivered, self._known[at].read) for at in self._held]
        self._held.clear()
        self._known.clear()
        return commands
