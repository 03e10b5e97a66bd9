"""Refresh tokens: `rt_<slot, 3 hex digits><aggregate key, 32 hex digits>.<family, 16 hex digits>.<secret>`.

The text leads to the account without an index; only the secret proves anything, and only its hash is kept.
A session's id, which access tokens carry, is slot, key and family.
"""

import base64
import hashlib
import re

import msgspec

ENTROPY_BYTES = 8 + 32
_PATTERN = re.compile(r"rt_([0-9a-f]{3})([0-9a-f]{32})\.([0-9a-f]{16})\.[A-Za-z0-9_-]{43}")
_SID = re.compile(r"([0-9a-f]{3})([0-9a-f]{32})([0-9a-f]{16})")


class Presented(msgspec.Struct, frozen=True):
    """A refresh token taken apart."""

    slot: int
    key: str
    sid: str
    hash: bytes


def digest(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def new_sid(slot: int, key: str, entropy: bytes) -> str:
    """Make a session id from 8 random bytes."""
    return f"{slot:03x}{key}{entropy.hex()}"


def new_token(sid: str, entropy: bytes) -> str:
    """Make a session's next token from 32 random bytes."""
    secret = base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()
    return f"rt_{sid[:35]}.{sid[35:]}.{secret}"


def read(token: str) -> Presented | None:
    """Take a token apart; None when it cannot be one."""
    found = _PATTERN.fullmatch(token)
    if found is None:
        return None
    slot, key, family = found.groups()
    return Presented(int(slot, 16), key, f"{slot}{key}{family}", digest(token))


def place_of_sid(sid: str) -> tuple[int, str] | None:
    """Return slot and aggregate key of the account a session belongs to."""
    found = _SID.fullmatch(sid)
    return (int(found[1], 16), found[2]) if found else None
