"""Cursors of lists: where a page ended, opaque to clients.

A cursor grants nothing, because every page is filtered by its own request; the checksum only tells a mangled
one, or one of another list, from a good one.
"""

import base64
import binascii
import hashlib
from typing import TypeVar

import msgspec

from cells.kernel.errors import Rejected

T = TypeVar("T")

MAX_CHARS = 512
DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_SUM_BYTES = 8

_encoder = msgspec.msgpack.Encoder()


def _checksum(of: str, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_SUM_BYTES, person=b"titan-cursor", key=of.encode()).digest()


def encode(of: str, last: object) -> str:
    """Make the cursor behind `last` of the list named `of` (at most 64 bytes)."""
    body = _encoder.encode(last)
    return base64.urlsafe_b64encode(_checksum(of, body) + body).rstrip(b"=").decode()


def decode(of: str, cursor: str, kind: type[T]) -> T:
    """Read a cursor of that list. Raises `Rejected` (bad_request) for one it did not make."""
    refusal = Rejected("bad_request", "The cursor is not one of this list.")
    if len(cursor) > MAX_CHARS:
        raise refusal
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        body = raw[_SUM_BYTES:]
        if raw[:_SUM_BYTES] != _checksum(of, body):
            raise refusal
        return msgspec.msgpack.decode(body, type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise refusal from None
