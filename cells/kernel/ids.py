"""Identifiers that carry the slot of their owner, so that routing is arithmetic.

`<prefix>_<slot: 3 hex digits><UUIDv7 in 26 Crockford base32 characters>`, for example
`sal_0a306GQ7ZK3N0W4T8V5Y2R1C9B7DM`. UUIDv7 is RFC 9562 section 5.7.
"""

import zlib
from functools import lru_cache

import msgspec

SLOTS = 4096
PREFIXES = frozenset({"usr", "mer", "prd", "sal", "hld", "ord", "pay", "msg", "cnv", "opr", "whk", "psb"})
ENTROPY_BYTES = 10

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_VALUE = {c: i for i, c in enumerate(_ALPHABET)}
_LENGTH = 3 + 1 + 3 + 26


class BadId(ValueError):  # noqa: N818 - names what was met
    """The text is no identifier of this system."""


class Id(msgspec.Struct, frozen=True):
    """A parsed identifier. `uuid` holds the 16 bytes of the UUIDv7."""

    prefix: str
    slot: int
    uuid: bytes


def slot_of(owner: str) -> int:
    """Return the slot of an owner's natural key (for accounts the lower-cased e-mail)."""
    return zlib.crc32(owner.encode()) % SLOTS


@lru_cache(maxsize=64)
def _time_text(now: int) -> str:
    """Return the ten characters that hold the 48 bits of the time."""
    value = now & 0xFFFFFFFFFFFF
    return "".join([_PAIRS[value >> shift & 1023] for shift in (40, 30, 20, 10, 0)])


def new_id(prefix: str, slot: int, now: int, entropy: bytes) -> str:
    """Make an identifier from the time in epoch milliseconds and `ENTROPY_BYTES` random bytes."""
    chance = int.from_bytes(entropy, "big")
    low = 0x7 << 76 | (chance >> 68 & 0xFFF) << 64 | 0b10 << 62 | chance & 0x3FFFFFFFFFFFFFFF
    p = _PAIRS
    return (
        f"{prefix}_{slot:03x}{_time_text(now)}{p[low >> 70]}{p[low >> 60 & 1023]}{p[low >> 50 & 1023]}"
        f"{p[low >> 40 & 1023]}{p[low >> 30 & 1023]}{p[low >> 20 & 1023]}{p[low >> 10 & 1023]}{p[low & 1023]}"
    )


@lru_cache(maxsize=8192)
def parse(text: str) -> Id:
    """Take an identifier apart. Raises `BadId` on anything that `new_id` could not have made."""
    if len(text) != _LENGTH or text[3] != "_" or text[:3] not in PREFIXES:
        raise BadId(text[:64])
    if any(c not in "0123456789abcdef" for c in text[4:7]):
        raise BadId(text)
    value = 0
    for c in text[7:]:
        digit = _VALUE.get(c)
        if digit is None:
            raise BadId(text)
        value = value << 5 | digit
    if value >> 128 or value >> 76 & 0xF != 0x7 or value >> 62 & 0b11 != 0b10:
        raise BadId(text)
    return Id(text[:3], int(text[4:7], 16), value.to_bytes(16, "big"))


def is_id(prefix: str, text: str) -> bool:
    """Tell whether `text` is a well-formed identifier with this prefix."""
    try:
        return parse(text).prefix == prefix
    except BadId:
        return False


def slot_in(text: str) -> int:
    """Return the slot that a well-formed identifier carries. Raises `BadId`."""
    return parse(text).slot
