"""Who asks: access tokens of accounts and keys of operators, and guards that demand a role."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.tokens import TokenInvalid, Verifier
from server.web.revocations import Revocations

Rank = Literal["viewer", "operator", "admin"]
"""Of operators: a viewer looks at the cell, an operator acts as well, an admin also ends keys."""

Role = Literal["buyer", "merchant"] | Rank

ALSO: Mapping[Role, tuple[Role, ...]] = {"operator": ("viewer",), "admin": ("operator", "viewer")}
"""The roles that a role has besides its own."""

ANYBODY: tuple[Role, ...] = ("buyer", "merchant", "operator")
"""Whom an operation serves that names no role. A viewer sees what operators are shown, and nothing else."""

OPERATOR_KEY_PREFIX = "tk_"
MAX_CREDENTIAL = 4096


class Actor(msgspec.Struct, frozen=True):
    """A verified caller. `id` is the account's (`usr_`, `mer_`) or the operator's (`opr_`); `sid` its session.

    `until` is the epoch millisecond at which the credential ends; 0 for operators, whose keys are re-checked.
    """

    id: str
    role: Role
    name: str
    sid: str = ""
    until: int = 0

    @property
    def is_operator(self) -> bool:
        """Whether this is an operator's key, of any rank, and not an account's token."""
        return self.role not in ("buyer", "merchant")


KeyCheck = Callable[[str], Awaitable[Actor | None]]


class Authenticator:
    """Turns an Authorization header into an actor. One per event loop."""

    def __init__(
        self, verifier: Verifier, revocations: Revocations, clock: Clock, check_key: KeyCheck
    ) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._clock = clock
        self._check_key = check_key

    def account(self, header: str | bytes | None) -> Actor:
        """Return the account behind an access token, without waiting for anything. Raises `Rejected` (401)."""
        token = _bearer(header)
        now = self._clock.now()
        try:
            claims = self._verifier.verify(token, now)
        except TokenInvalid as error:
            raise Rejected(error.code, f"{error.detail[:1].upper()}{error.detail[1:]}.") from None
        if claims.role not in ("buyer", "merchant"):
            raise Rejected("unauthenticated", "The token is not an account's.")
        if self._revocations.is_revoked(claims.sid, now):
            raise Rejected("unauthenticated", "The session was ended; log in again.")
        return Actor(claims.sub, claims.role, claims.name, claims.sid, claims.exp)  # type: ignore[arg-type]  # mypy does not narrow a str by `in`

    async def operator(self, key: str) -> Actor | None:
        """Return the operator whose key this is. Raises `LogUnavailable`."""
        return await self._check_key(key)

    async def actor(self, header: str | bytes | None) -> Actor:
        """Return the account or the operator behind a credential. Raises `Rejected` (401)."""
        credential = _bearer(header)
        if not credential.startswith(OPERATOR_KEY_PREFIX):
            return self.account(header)
        found = await self._check_key(credential)
        if found is None:
            raise Rejected("unauthenticated", "The operator key is unknown or was revoked.")
        return found


def _bearer(header: str | bytes | None) -> str:
    if not header:
        raise Rejected("unauthenticated", "The Authorization header is missing.")
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    scheme, _, credential = text.partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential or len(credential) > MAX_CREDENTIAL:
        raise Rejected("unauthenticated", "The Authorization header has to be: Bearer <access token>.")
    return credential


def demand(actor: Actor, *roles: Role) -> Actor:
    """Let an actor pass that has one of the roles, by itself or by `ALSO`. Raises `Rejected` (403)."""
    if any(role in roles for role in (actor.role, *ALSO.get(actor.role, ()))):
        return actor
    raise Rejected("forbidden", f"This is for: {', '.join(roles)}.")


Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]


def requires(*roles: Role) -> Guard:
    """Make a guard: the caller has to be authentic and to have one of the roles. Sets `request.user`."""
    wanted = roles or ANYBODY

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        authenticator: Authenticator = connection.app.state.authenticator
        actor = await authenticator.actor(connection.headers.get("authorization"))
        connection.scope["user"] = demand(actor, *wanted)

    return guard


BEARER: Sequence[dict[str, list[str]]] = ({"bearer": []},)
"""`security=` of every operation that needs a credential."""
