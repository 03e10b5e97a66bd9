"""A commit: one log message that holds the events of one decision, chained to the commit before it by its hash."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from cells.kernel.codec import Registry

GENESIS = bytes(32)
"""The `prev` of an aggregate's first commit."""


class Commit(msgspec.Struct, frozen=True):
    """A decoded commit. `version` counts the aggregate's commits from 1; `prev` is the hash of the one before."""

    version: int
    at: int
    prev: bytes
    events: list[Any]


class _Outgoing(msgspec.Struct, array_like=True, frozen=True):
    version: int
    at: int
    prev: bytes
    events: list[msgspec.Raw]


class Written(msgspec.Struct, array_like=True, frozen=True):
    """A commit whose events are not decoded yet: name, schema version and fields of each."""

    version: int
    at: int
    prev: bytes
    events: list[tuple[str, int, msgspec.Raw]]


class Header(msgspec.Struct, array_like=True, frozen=True):
    """What of a commit can be read without knowing its events."""

    version: int
    at: int
    prev: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Written)
_header = msgspec.msgpack.Decoder(Header)


def encode_event(registry: Registry, event: msgspec.Struct) -> msgspec.Raw:
    """Encode one event as it stands in a commit, so that a commit's size is known before it is closed."""
    return msgspec.Raw(_encoder.encode(registry.describe(event)))


def assemble(version: int, at: int, prev: bytes, events: Sequence[msgspec.Raw]) -> bytes:
    """Encode a commit of events that are encoded already."""
    return _encoder.encode(_Outgoing(version, at, prev, list(events)))


def encode(registry: Registry, version: int, at: int, prev: bytes, events: Sequence[msgspec.Struct]) -> bytes:
    """Encode a commit as it is stored."""
    return assemble(version, at, prev, [encode_event(registry, e) for e in events])


def decode(registry: Registry, body: bytes) -> Commit:
    """Decode a stored commit. Raises `UnknownEvent`, or `msgspec.DecodeError` where the bytes are no commit."""
    raw = _decoder.decode(body)
    return Commit(raw.version, raw.at, raw.prev, [registry.restore(*event) for event in raw.events])


def take_apart(body: bytes) -> Written:
    """Decode a stored commit of any aggregate but for its events. Raises `msgspec.DecodeError`."""
    return _decoder.decode(body)


def peek(body: bytes) -> Header:
    """Read version, time and link of a commit of any aggregate. Raises `msgspec.DecodeError`."""
    return _header.decode(body)


def digest(body: bytes) -> bytes:
    """Return the SHA-256 of a stored commit: the link that the next commit carries."""
    return hashlib.sha256(body).digest()
