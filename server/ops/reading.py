"""Reading commits for people. PURE. Whatever lies in the log is read as far as this release understands it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from cells.kernel import envelope
from cells.kernel.codec import Registry, UnknownEvent
from cells.log import subjects
from cells.log.port import Stored

Registries = Mapping[str, Registry]


class Entry(msgspec.Struct, frozen=True):
    """One event of a commit. `event` is None for one that this release does not know or cannot decode."""

    name: str
    version: int
    event: Any


class Opened(msgspec.Struct, frozen=True):
    """A commit, opened. `version` is 0 where the bytes are no commit."""

    position: int
    subject: str
    slot: int
    kind: str
    key: str
    version: int
    at: int
    prev: bytes
    entries: list[Entry]

    @property
    def unknown(self) -> int:
        """How many of its events cannot be told; one for bytes that are no commit."""
        return sum(entry.event is None for entry in self.entries) if self.version else 1


def opened(registries: Registries, stored: Stored) -> Opened:
    """Open a commit. Never fails."""
    slot, kind, key = place_of(stored.subject)
    try:
        written = envelope.take_apart(stored.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Opened(stored.position, stored.subject, slot, kind, key, 0, 0, b"", [])
    registry = registries.get(kind)
    entries = [
        Entry(name, version, _restored(registry, name, version, raw)) for name, version, raw in written.events
    ]
    return Opened(
        stored.position, stored.subject, slot, kind, key, written.version, written.at, written.prev, entries
    )


def place_of(subject: str) -> tuple[int, str, str]:
    """Return slot, kind and key of any subject; slot -1 where it is none of this log's."""
    try:
        return subjects.split(subject)
    except ValueError:
        return -1, "", subject


def _restored(registry: Registry | None, name: str, version: int, raw: msgspec.Raw) -> Any:
    if registry is None:
        return None
    try:
        return registry.restore(name, version, raw)
    except (UnknownEvent, msgspec.MsgspecError, UnicodeDecodeError):
        return None
