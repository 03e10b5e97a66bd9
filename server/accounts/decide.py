"""The rules of accounts and their sessions."""

from typing import assert_never

import msgspec

from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected
from server.accounts.model import (
    KIND,
    MAX_SESSIONS,
    REGISTRY,
    SESSION_MS,
    Account,
    AccountRegistered,
    Command,
    Event,
    LogIn,
    LogOut,
    PasswordRehashed,
    Refresh,
    Register,
    Session,
    SessionRefreshed,
    SessionRevoked,
    SessionStarted,
    State,
    Vacant,
)


def decide(state: State, command: Command, now: int) -> list[Event]:
    """Decide a command.

    A refresh token that is not the family's newest ends the family and is *not* rejected here: the ending has to
    be recorded. The caller finds `SessionRevoked` where it expected `SessionRefreshed`, and refuses.
    """
    match command:
        case Register():
            return _register(state, command, now)
        case LogIn():
            return _log_in(state, command, now)
        case Refresh():
            return _refresh(state, command, now)
        case LogOut(sid):
            session = _living(state, sid, now)
            return [SessionRevoked(sid, "logout", now)] if session else []
        case _:
            assert_never(command)


def _register(state: State, command: Register, now: int) -> list[Event]:
    if isinstance(state, Account):
        raise Rejected("email_taken")
    return [
        AccountRegistered(
            command.user_id, command.email, command.password_hash, command.display_name, command.role, now
        ),
        SessionStarted(command.sid, command.token_hash, now + SESSION_MS, now),
    ]


def _log_in(state: State, command: LogIn, now: int) -> list[Event]:
    if isinstance(state, Vacant) or state.password_hash != command.verified_hash:
        raise Rejected("bad_credentials")
    events: list[Event] = []
    if command.newer_hash is not None:
        events.append(PasswordRehashed(command.newer_hash, now))
    living = [s for s in state.sessions if s.expires_at > now]
    surplus = living[: max(0, len(living) - MAX_SESSIONS + 1)]
    events += [SessionRevoked(s.sid, "superseded", now) for s in surplus]
    events.append(SessionStarted(command.sid, command.token_hash, now + SESSION_MS, now))
    return events


def _refresh(state: State, command: Refresh, now: int) -> list[Event]:
    session = _living(state, command.sid, now)
    if session is None:
        raise Rejected("unauthenticated", "The session has ended; log in again.")
    if session.token_hash != command.presented_hash:
        return [SessionRevoked(command.sid, "reuse", now)]
    return [SessionRefreshed(command.sid, command.token_hash, now + SESSION_MS, now)]


def _living(state: State, sid: str, now: int) -> Session | None:
    if isinstance(state, Vacant):
        return None
    return next((s for s in state.sessions if s.sid == sid and s.expires_at > now), None)


def evolve(state: State, event: Event) -> State:
    """Fold one event. Sessions that had expired by its time are forgotten."""
    if isinstance(event, AccountRegistered):
        return Account(
            event.user_id, event.email, event.password_hash, event.display_name, event.role, event.at
        )
    if isinstance(state, Vacant):
        return state
    match event:
        case PasswordRehashed(password_hash):
            return msgspec.structs.replace(state, password_hash=password_hash)
        case SessionStarted(sid, token_hash, expires_at, at):
            kept = _without(state, sid, at)
            return msgspec.structs.replace(state, sessions=(*kept, Session(sid, token_hash, expires_at)))
        case SessionRefreshed(sid, token_hash, expires_at, at):
            renewed = Session(sid, token_hash, expires_at)
            sessions = tuple(renewed if s.sid == sid else s for s in state.sessions if s.expires_at > at)
            return msgspec.structs.replace(state, sessions=sessions)
        case SessionRevoked(sid, _, at):
            return msgspec.structs.replace(state, sessions=_without(state, sid, at))
        case _:
            assert_never(event)


def _without(account: Account, sid: str, at: int) -> tuple[Session, ...]:
    return tuple(s for s in account.sessions if s.sid != sid and s.expires_at > at)


DECIDER: Decider[State, Command] = Decider(KIND, Vacant, decide, evolve, REGISTRY)
