"""Event codec: every event is stored with its name and schema version, and old versions are upcast on reading.

Events are frozen array-like structs. A field added at the end with a default needs no new version; any other
change takes a new version and an upcaster from the one before.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

Upcaster = Callable[[list[Any]], list[Any]]


class UnknownEvent(ValueError):  # noqa: N818 - names what was met
    """The log holds an event that this program does not know. It must not be skipped."""


class EventKind(msgspec.Struct, frozen=True):
    """How one event type is stored. `upcasters[n]` turns the fields of version n into those of n + 1."""

    name: str
    type: type[msgspec.Struct]
    version: int = 1
    upcasters: Mapping[int, Upcaster] = {}


class Registry:
    """The closed set of events of one aggregate kind."""

    def __init__(self, kinds: Iterable[EventKind]) -> None:
        listed = tuple(kinds)
        self._by_name = {k.name: k for k in listed}
        self._by_type = {k.type: k for k in listed}
        self._decoders = {k.name: msgspec.msgpack.Decoder(k.type) for k in listed}
        if len(self._by_name) != len(listed) or len(self._by_type) != len(listed):
            msg = "an event name or type is registered twice"
            raise ValueError(msg)
        for kind in listed:
            missing = set(range(1, kind.version)) - set(kind.upcasters)
            if missing:
                msg = f"{kind.name}: no upcaster from version {sorted(missing)}"
                raise ValueError(msg)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all events, as stored."""
        return tuple(self._by_name)

    def describe(self, event: msgspec.Struct) -> tuple[str, int, msgspec.Struct]:
        """Return the stored form: name, schema version, fields."""
        kind = self._by_type[type(event)]
        return kind.name, kind.version, event

    def restore(self, name: str, version: int, fields: msgspec.Raw) -> Any:
        """Return the event in its newest shape. Raises `UnknownEvent`."""
        kind = self._by_name.get(name)
        if kind is None or version > kind.version:
            msg = f"event {name!r} version {version} is unknown here; run a release that knows it"
            raise UnknownEvent(msg)
        if version == kind.version:
            return self._decoders[name].decode(fields)
        values = msgspec.msgpack.decode(fields)
        for step in range(version, kind.version):
            values = kind.upcasters[step](values)
        return msgspec.convert(values, kind.type)
