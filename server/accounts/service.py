"""What an api process does for accounts: everything that needs chance, time, hashing, the log and the bus."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from cells.engine.handle import Handled, handle, load
from cells.kernel.chance import fresh
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.log.port import Log
from cells.tokens import Issuer
from server.accounts import refresh_tokens
from server.accounts.decide import DECIDER
from server.accounts.model import (
    ACCESS_MS,
    PREFIX_OF,
    Account,
    LogIn,
    LogOut,
    Refresh,
    Register,
    Role,
    SessionRevoked,
    State,
    address_of,
    place_of,
)
from server.accounts.passwords import Passwords
from server.web.revocations import Revocations

Announce = Callable[[str, int], Awaitable[None]]
"""Tells the other processes of the cell that a session ended: its id, and when its last access token expires."""


class Granted(msgspec.Struct, frozen=True):
    """A successful sign-in."""

    account: Account
    access_token: str
    refresh_token: str


class Accounts:
    """Register, sign in and out."""

    def __init__(
        self,
        *,
        log: Log,
        clock: Clock,
        issuer: Issuer,
        passwords: Passwords,
        revocations: Revocations,
        announce: Announce,
    ) -> None:
        self._log = log
        self._clock = clock
        self._issuer = issuer
        self._passwords = passwords
        self._revocations = revocations
        self._announce = announce

    async def register(self, email: str, password: str, display_name: str, role: Role) -> Granted:
        """Open an account. Raises `Rejected` (email_taken)."""
        slot, key = place_of(email)
        if (await self._account(slot, key)) is not None:
            raise Rejected("email_taken")
        sid, token = self._new_session(slot, key)
        command = Register(
            fresh(PREFIX_OF[role], slot, self._clock),
            address_of(email),
            await self._passwords.hash(password),
            display_name,
            role,
            sid,
            refresh_tokens.digest(token),
        )
        return self._granted(await handle(self._log, DECIDER, slot, key, command, self._clock), sid, token)

    async def log_in(self, email: str, password: str) -> Granted:
        """Start a session. Raises `Rejected` (bad_credentials) alike for a wrong password and an unknown address."""
        slot, key = place_of(email)
        account = await self._account(slot, key)
        known_hash = account.password_hash if account else None
        if not await self._passwords.verify(known_hash, password) or known_hash is None:
            raise Rejected("bad_credentials")
        newer = await self._passwords.newer(known_hash, password)
        sid, token = self._new_session(slot, key)
        command = LogIn(sid, refresh_tokens.digest(token), known_hash, newer)
        handled = await handle(self._log, DECIDER, slot, key, command, self._clock)
        await self._tell(handled.events)
        return self._granted(handled, sid, token)

    async def refresh(self, token: str) -> Granted:
        """Exchange a refresh token. One that was exchanged before ends its session. Raises `Rejected` (401)."""
        presented = refresh_tokens.read(token)
        if presented is None:
            raise Rejected("unauthenticated", "This is not a refresh token.")
        following = refresh_tokens.new_token(presented.sid, os.urandom(32))
        command = Refresh(presented.sid, presented.hash, refresh_tokens.digest(following))
        handled = await handle(self._log, DECIDER, presented.slot, presented.key, command, self._clock)
        await self._tell(handled.events)
        if any(isinstance(event, SessionRevoked) for event in handled.events):
            raise Rejected(
                "unauthenticated",
                "The refresh token was used before, so its session was ended; log in again.",
            )
        return self._granted(handled, presented.sid, following)

    async def log_out(self, token: str) -> None:
        """End the session of a refresh token, whichever of its tokens it is. An ended one is ended already."""
        presented = refresh_tokens.read(token)
        if presented is None:
            raise Rejected("unauthenticated", "This is not a refresh token.")
        await self._end(presented.slot, presented.key, presented.sid)

    async def log_out_session(self, sid: str) -> None:
        """End the session of an access token."""
        place = refresh_tokens.place_of_sid(sid)
        if place is not None:
            await self._end(*place, sid)

    async def of_session(self, sid: str) -> Account:
        """Return the account that a session belongs to. Raises `Rejected` (unauthenticated)."""
        place = refresh_tokens.place_of_sid(sid)
        account = await self._account(*place) if place else None
        if account is None:
            raise Rejected("unauthenticated", "The account of this token does not exist.")
        return account

    async def _end(self, slot: int, key: str, sid: str) -> None:
        handled = await handle(self._log, DECIDER, slot, key, LogOut(sid), self._clock)
        await self._tell(handled.events)

    async def _account(self, slot: int, key: str) -> Account | None:
        state = (await load(self._log, DECIDER, slot, key)).state
        return state if isinstance(state, Account) else None

    def _new_session(self, slot: int, key: str) -> tuple[str, str]:
        sid = refresh_tokens.new_sid(slot, key, os.urandom(8))
        return sid, refresh_tokens.new_token(sid, os.urandom(32))

    def _granted(self, handled: Handled[State], sid: str, token: str) -> Granted:
        account = handled.state
        if not isinstance(account, Account):
            msg = "a session without an account"
            raise TypeError(msg)
        access = self._issuer.sign(
            sub=account.user_id,
            role=account.role,
            sid=sid,
            name=account.display_name,
            now_ms=self._clock.now(),
            life_ms=ACCESS_MS,
        )
        return Granted(account, access, token)

    async def _tell(self, events: list[Any]) -> None:
        now = self._clock.now()
        for event in events:
            if isinstance(event, SessionRevoked):
                self._revocations.add(event.sid, event.at + ACCESS_MS, now)
                await self._announce(event.sid, event.at + ACCESS_MS)
