"""The log: the only truth. One message is one commit; appends are compare-and-set on the aggregate's subject."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec


class Stored(msgspec.Struct, frozen=True):
    """A message as it lies in the log. `position` counts all messages of the log from 1."""

    position: int
    subject: str
    body: bytes


class Appended(msgspec.Struct, frozen=True):
    """The message is durable at this position."""

    position: int


class Conflict(msgspec.Struct, frozen=True):
    """Another message of the subject came first. Nothing was stored."""


class Refused(msgspec.Struct, frozen=True):
    """The log said no, or was never asked. Nothing was stored."""

    reason: str
    fenced: bool = False


class Unknown(msgspec.Struct, frozen=True):
    """No answer came. The message may be stored, now or later; only a read-back can tell."""

    reason: str


Outcome = Appended | Conflict | Refused | Unknown


class LogInfo(msgspec.Struct, frozen=True):
    """Extent of the log. `epoch` names this incarnation: a log that was made anew has another.

    `max_bytes` is what it may grow to, 0 where it has no limit of its own.
    """

    first: int
    last: int
    messages: int
    epoch: str
    bytes: int = 0
    max_bytes: int = 0


class Mark(msgspec.Struct, frozen=True):
    """A high-water mark: the log reached `position`, and the commit there has this SHA-256."""

    epoch: str
    position: int
    hash: str


class LogUnavailable(Exception):  # noqa: N818 - a state, not a fault of the caller
    """The log did not answer within the deadline. Nothing is known."""


class Log(Protocol):
    """The port. Two adapters keep it: `JetStreamLog` and `MemoryLog`."""

    @property
    def fenced(self) -> str | None:
        """Why this log may not be written: it is missing, shorter or other than its marks. None when sound."""

    async def append(self, subject: str, body: bytes, expected: int, timeout: float = 2.0) -> Outcome:
        """Store a commit iff the subject's last message is at `expected` (0: it has none)."""

    async def settle(self, subject: str, body: bytes, expected: int) -> Outcome:
        """Read back what became of an append that was `Unknown`.

        `Appended` when the next message of the subject is this one, `Conflict` when it is another's,
        `Refused` when there is none: then the same append may be sent again. `Unknown` when unreadable.
        """

    def read(self, pattern: str, after: int = 0) -> AsyncIterator[list[Stored]]:
        """Yield batches in order, up to the end of the log as of this call. Raises `LogUnavailable`."""

    def tail(self, pattern: str, after: int) -> AsyncIterator[list[Stored]]:
        """Yield batches in order for ever, without a gap and without a repeat."""

    async def last(self, subject: str) -> Stored | None:
        """Return the newest message of a subject. Raises `LogUnavailable`."""

    async def at(self, position: int) -> Stored | None:
        """Return the message at a position. Raises `LogUnavailable`."""

    async def info(self) -> LogInfo | None:
        """Return the extent; None when the stream does not exist. Raises `LogUnavailable`."""

    async def subjects(self, pattern: str) -> dict[str, int]:
        """Return all subjects that match, with their number of messages. Raises `LogUnavailable`."""
