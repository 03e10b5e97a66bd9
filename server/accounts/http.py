"""Registration, sign-in and the caller's own account.

These calls accept an Idempotency-Key like every write, but their answers hold secrets and are never stored: a
repeated login makes another session, and a repeated registration answers `email_taken`.
"""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from cells.kernel.clock import rfc3339
from server.accounts.model import ACCESS_MS, Account, Email, Password, Role, address_of
from server.accounts.service import Accounts, Granted
from server.web.auth import BEARER, Actor, Authenticator, demand, requires
from server.web.body import Json
from server.web.limits import REFRESH, SIGN_IN_ACCOUNT, SIGN_IN_ADDRESS, Limits
from server.web.limits import address_of as peer_of
from server.web.problem import refusals
from server.web.text import Name, When

AccountsPart = NamedDependency[SkipValidation[Accounts]]
LimitsPart = NamedDependency[SkipValidation[Limits]]
JwksPart = NamedDependency[SkipValidation[dict[str, Any]]]

RefreshToken = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new account."""

    email: Email
    password: Password
    display_name: Name
    role: Role


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sign-in."""

    email: Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Refreshing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An exchange of a refresh token."""

    refresh_token: RefreshToken


class LoggingOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of a session: of this token's, or without one of the access token's."""

    refresh_token: RefreshToken | None = None


class UserView(msgspec.Struct, frozen=True):
    """An account as its owner sees it."""

    id: str
    email: str
    display_name: str
    role: Role
    created_at: When


class SessionView(msgspec.Struct, frozen=True):
    """A successful sign-in. `expires_in` is the access token's life in seconds."""

    user: UserView
    access_token: str
    refresh_token: str
    expires_in: int


class LoggedOut(msgspec.Struct, frozen=True):
    """The session has ended."""

    ended: Literal[True] = True


class Jwk(msgspec.Struct, frozen=True):
    """A public Ed25519 key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class Jwks(msgspec.Struct, frozen=True):
    """The keys that sign this cell's access tokens (RFC 7517)."""

    keys: list[Jwk]


def view(account: Account) -> UserView:
    """Show an account to its owner."""
    return UserView(
        account.user_id, account.email, account.display_name, account.role, rfc3339(account.created_at)
    )


def _session(granted: Granted) -> SessionView:
    return SessionView(view(granted.account), granted.access_token, granted.refresh_token, ACCESS_MS // 1000)


@post(
    "/api/v1/auth/register",
    dto=Json[Registration],
    responses=refusals("email_taken", "conflict", "overloaded", "fenced", "outcome_unknown"),
    operation_id="register",
    tags=["accounts"],
)
async def register(
    request: Request[Any, Any, Any], data: Registration, accounts: AccountsPart, limits: LimitsPart
) -> SessionView:
    """Open an account and sign in."""
    await limits.admit(SIGN_IN_ADDRESS, peer_of(request.scope))
    return _session(await accounts.register(data.email, data.password, data.display_name, data.role))


@post(
    "/api/v1/auth/login",
    status_code=200,
    dto=Json[Credentials],
    responses=refusals("bad_credentials", "conflict", "overloaded", "fenced", "outcome_unknown"),
    operation_id="login",
    tags=["accounts"],
)
async def login(
    request: Request[Any, Any, Any], data: Credentials, accounts: AccountsPart, limits: LimitsPart
) -> SessionView:
    """Sign in with e-mail and password."""
    await limits.admit(SIGN_IN_ADDRESS, peer_of(request.scope))
    await limits.admit(SIGN_IN_ACCOUNT, address_of(data.email))
    return _session(await accounts.log_in(data.email, data.password))


@post(
    "/api/v1/auth/refresh",
    status_code=200,
    dto=Json[Refreshing],
    responses=refusals("unauthenticated", "conflict", "fenced", "outcome_unknown"),
    operation_id="refresh",
    tags=["accounts"],
)
async def refresh(
    request: Request[Any, Any, Any], data: Refreshing, accounts: AccountsPart, limits: LimitsPart
) -> SessionView:
    """Exchange a refresh token for the next one and a new access token."""
    await limits.admit(REFRESH, peer_of(request.scope))
    return _session(await accounts.refresh(data.refresh_token))


@post(
    "/api/v1/auth/logout",
    status_code=200,
    dto=Json[LoggingOut],
    responses=refusals(
        "unauthenticated", "token_expired", "forbidden", "conflict", "fenced", "outcome_unknown"
    ),
    security=({}, *BEARER),
    operation_id="logout",
    tags=["accounts"],
)
async def logout(
    request: Request[Any, Any, Any],
    accounts: AccountsPart,
    data: LoggingOut = LoggingOut(),  # noqa: B008 - frozen
) -> LoggedOut:
    """End a session: the refresh token's in the body, else the access token's in the Authorization header."""
    if data.refresh_token is not None:
        await accounts.log_out(data.refresh_token)
        return LoggedOut()
    authenticator: Authenticator = request.app.state.authenticator
    actor = await authenticator.actor(request.headers.get("authorization"))
    await accounts.log_out_session(demand(actor, "buyer", "merchant").sid)
    return LoggedOut()


@get(
    "/api/v1/me",
    guards=[requires("buyer", "merchant")],
    security=BEARER,
    responses=refusals("unauthenticated", "token_expired", "forbidden", "fenced"),
    operation_id="me",
    tags=["accounts"],
)
async def me(request: Request[Actor, Any, Any], accounts: AccountsPart) -> UserView:
    """Return the caller's account."""
    return view(await accounts.of_session(request.user.sid))


@get("/.well-known/jwks.json", responses=refusals(), operation_id="jwks", tags=["accounts"])
async def jwks(jwk_set: JwksPart) -> Response[Jwks]:
    """Return the public keys of the cell's access tokens."""
    return Response(msgspec.convert(jwk_set, Jwks), headers={"cache-control": "public, max-age=300"})


HANDLERS = (register, login, refresh, logout, me, jwks)
