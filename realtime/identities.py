"""Whose the connections of one hub are: tokens and keys are checked here, and those that ended send people away."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from cells.tokens import TokenInvalid
from realtime.codes import CloseCode
from realtime.effects import Effect, Identity, Purpose, VerifyToken
from realtime.events import Holder
from realtime.keys import KEY_PREFIX, Keys
from realtime.peer import Peer
from realtime.source import LogSource, SourceUnavailable
from realtime.tokens import TokenVerifier

_log = structlog.get_logger(__name__)

# Sign-ins that were ended while their tokens live. Full policy: the one ended first is forgotten.
MAX_REVOKED: Final = 100_000
# Keys being asked for. Full policy: refused as unavailable, which the client may try again.
MAX_CHECKS: Final = 1_024


def epoch_ms() -> int:
    """Answer ms since the Unix epoch."""
    return time.time_ns() // 1_000_000


class Identities:
    """Knows connections by account and by key. Belongs to one event loop."""

    def __init__(self, verifier: TokenVerifier, source: LogSource, clock: Callable[[], int]) -> None:
        self._verifier = verifier
        self._keys = Keys(source, clock)
        self._clock = clock
        self._users: dict[str, set[Peer]] = {}
        self._used: dict[Peer, str] = {}
        self._revoked: dict[str, int] = {}
        self._checks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look after the keys that are used, for ever."""
        await self._keys.watch(lambda: list(set(self._used.values())), self._key_ended)

    def cancel(self) -> None:
        """Give up what is being asked."""
        for task in self._checks:
            task.cancel()

    def of(self, user: str) -> list[Peer]:
        """Answer the connections of an account."""
        return list(self._users.get(user, ()))

    def forget(self, peer: Peer) -> None:
        """Take that a connection is over."""
        self._used.pop(peer, None)
        user = peer.user
        sockets = None if user is None else self._users.get(user)
        if sockets is not None and user is not None:
            sockets.discard(peer)
            if not sockets:
                del self._users[user]

    # --- letting in ---

    def verify(self, peer: Peer, asked: VerifyToken) -> list[Effect]:
        """Answer what follows from a token; from a key it follows by and by."""
        if asked.token.startswith(KEY_PREFIX):
            return self._ask(peer, asked)
        today = epoch_ms()
        try:
            claims = self._verifier(asked.token, today)
        except TokenInvalid as invalid:
            return peer.session.token_refused(asked, invalid.code)
        if self._revoked.get(claims.sid, 0) > today:
            return peer.session.token_refused(asked, "unauthenticated")
        identity = Identity(claims.sub, claims.role, claims.sid, claims.exp - today, claims.name)
        return self._admitted(peer, asked, identity)

    def _ask(self, peer: Peer, asked: VerifyToken) -> list[Effect]:
        if len(self._checks) >= MAX_CHECKS:
            return peer.session.token_refused(asked, "unavailable")
        task = asyncio.create_task(self._check(peer, asked))
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)
        return []

    async def _check(self, peer: Peer, asked: VerifyToken) -> None:
        code, holder = "unauthenticated", None
        try:
            holder = await self._keys.holder(asked.token)
        except SourceUnavailable as error:
            _log.debug("an operator's key cannot be checked now", why=str(error))
            code = "unavailable"
        peer.judged(self._found(peer, asked, holder, code))

    def _found(self, peer: Peer, asked: VerifyToken, holder: Holder | None, code: str) -> list[Effect]:
        if holder is None:
            return peer.session.token_refused(asked, code)
        identity = Identity(holder.id, holder.role, "", None, holder.name)
        effects = self._admitted(peer, asked, identity)
        if peer.session.identity is identity and not peer.session.closed:
            self._used[peer] = asked.token
        return effects

    def _admitted(self, peer: Peer, asked: VerifyToken, identity: Identity) -> list[Effect]:
        sockets = self._users.get(identity.sub, set())
        effects = peer.session.verified(asked, identity, len(sockets), self._clock())
        if asked.purpose is Purpose.HELLO and peer.session.identity is identity:
            self._users.setdefault(identity.sub, sockets).add(peer)
        peer.arm()
        return effects

    # --- sending away ---

    def revoke(self, sid: str, until: int) -> None:
        """Close the connections of a sign-in that was ended, and let it in no more until its tokens are dead."""
        self._revoked[sid] = until
        if len(self._revoked) > MAX_REVOKED:
            del self._revoked[next(iter(self._revoked))]
        for sockets in list(self._users.values()):
            for peer in list(sockets):
                if peer.session.identity is not None and peer.session.identity.sid == sid:
                    peer.close(CloseCode.SESSION_REVOKED)

    def _key_ended(self, key: str) -> None:
        for peer in [each for each, used in self._used.items() if used == key]:
            peer.close(CloseCode.UNAUTHENTICATED)
