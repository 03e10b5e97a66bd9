"""The words of an account: who may sign in, and the sessions that are alive.

An account's aggregate is found by its e-mail address alone: slot and key are functions of the lower-cased
address. So compare-and-set on an aggregate that does not exist yet is what makes addresses unique.
"""

import hashlib
from typing import Annotated, Literal

import msgspec

from cells.kernel.codec import EventKind, Registry
from cells.kernel.ids import slot_of

KIND = "usr"

Role = Literal["buyer", "merchant"]
PREFIX_OF: dict[Role, str] = {"buyer": "usr", "merchant": "mer"}

ACCESS_MS = 600_000
SESSION_MS = 30 * 24 * 3600 * 1000
MAX_SESSIONS = 20
KEY_CHARS = 32

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL_PATTERN = f"^[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@{_LABEL}(\\.{_LABEL})+$(?![\\s\\S])"
Email = Annotated[str, msgspec.Meta(min_length=3, max_length=254, pattern=EMAIL_PATTERN)]
Password = Annotated[str, msgspec.Meta(min_length=8, max_length=128)]


def address_of(email: str) -> str:
    """Return the form of an e-mail address that identifies an account."""
    return email.lower()


def place_of(email: str) -> tuple[int, str]:
    """Return slot and aggregate key of the account with this address."""
    address = address_of(email)
    return slot_of(address), hashlib.sha256(address.encode()).hexdigest()[:KEY_CHARS]


# --- events ----------------------------------------------------------------------------------------------------


class AccountRegistered(msgspec.Struct, frozen=True, array_like=True):
    """Somebody registered. `email` is lower-cased; `password_hash` is an argon2id string."""

    user_id: str
    email: str
    password_hash: str
    display_name: str
    role: Role
    at: int


class PasswordRehashed(msgspec.Struct, frozen=True, array_like=True):
    """The same password, hashed with newer parameters."""

    password_hash: str
    at: int


class SessionStarted(msgspec.Struct, frozen=True, array_like=True):
    """A sign-in began a family of refresh tokens. `token_hash` is the SHA-256 of the only one that is valid."""

    sid: str
    token_hash: bytes
    expires_at: int
    at: int


class SessionRefreshed(msgspec.Struct, frozen=True, array_like=True):
    """The family's token was exchanged for the next one."""

    sid: str
    token_hash: bytes
    expires_at: int
    at: int


class SessionRevoked(msgspec.Struct, frozen=True, array_like=True):
    """The family ended: none of its refresh tokens is valid, and its access tokens are refused."""

    sid: str
    reason: Literal["logout", "reuse", "superseded"]
    at: int


Event = AccountRegistered | PasswordRehashed | SessionStarted | SessionRefreshed | SessionRevoked

REGISTRY = Registry(
    EventKind(kind.__name__, kind)
    for kind in (AccountRegistered, PasswordRehashed, SessionStarted, SessionRefreshed, SessionRevoked)
)


# --- state -----------------------------------------------------------------------------------------------------


class Vacant(msgspec.Struct, frozen=True):
    """The address has no account."""


class Session(msgspec.Struct, frozen=True):
    """A living family of refresh tokens."""

    sid: str
    token_hash: bytes
    expires_at: int


class Account(msgspec.Struct, frozen=True):
    """A registered account. `sessions` are in order of their start, the expired ones pruned by the next event."""

    user_id: str
    email: str
    password_hash: str
    display_name: str
    role: Role
    created_at: int
    sessions: tuple[Session, ...] = ()


State = Vacant | Account


# --- commands --------------------------------------------------------------------------------------------------


class Register(msgspec.Struct, frozen=True):
    """Open an account and its first session."""

    user_id: str
    email: str
    password_hash: str
    display_name: str
    role: Role
    sid: str
    token_hash: bytes


class LogIn(msgspec.Struct, frozen=True):
    """Start a session. `verified_hash` is the hash that the password was checked against."""

    sid: str
    token_hash: bytes
    verified_hash: str
    newer_hash: str | None = None


class Refresh(msgspec.Struct, frozen=True):
    """Exchange a refresh token."""

    sid: str
    presented_hash: bytes
    token_hash: bytes


class LogOut(msgspec.Struct, frozen=True):
    """End a session."""

    sid: str


Command = Register | LogIn | Refresh | LogOut
