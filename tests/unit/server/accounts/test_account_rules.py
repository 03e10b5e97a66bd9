"""What accounts and their sessions do."""

from cells.kernel.codec import Registry
from server.accounts.decide import DECIDER
from server.accounts.model import (
    MAX_SESSIONS,
    REGISTRY,
    SESSION_MS,
    AccountRegistered,
    LogIn,
    LogOut,
    PasswordRehashed,
    Refresh,
    Register,
    SessionRefreshed,
    SessionRevoked,
    SessionStarted,
    place_of,
)
from tests.unit.given import given

NOW = 1_800_000_000_000
REGISTERED = AccountRegistered("usr_1", "mia@example.com", "hash", "Mia", "buyer", NOW)
STARTED = SessionStarted("s1", b"one", NOW + SESSION_MS, NOW)
REGISTER = Register("usr_1", "mia@example.com", "hash", "Mia", "buyer", "s1", b"one")


def test_registering_opens_the_account_and_its_first_session():
    state = given(DECIDER).when(REGISTER, NOW).then(REGISTERED, STARTED)

    assert [s.sid for s in state.sessions] == ["s1"]


def test_an_address_has_one_account():
    given(DECIDER, REGISTERED).when(REGISTER, NOW).rejected("email_taken")


def test_addresses_that_differ_in_case_only_are_the_same_account():
    assert place_of("Mia@Example.COM") == place_of("mia@example.com")


def test_logging_in_starts_another_session():
    given(DECIDER, REGISTERED, STARTED).when(LogIn("s2", b"two", "hash"), NOW + 1).then(
        SessionStarted("s2", b"two", NOW + 1 + SESSION_MS, NOW + 1)
    )


def test_logging_in_with_old_hash_parameters_renews_the_hash():
    state = (
        given(DECIDER, REGISTERED)
        .when(LogIn("s2", b"two", "hash", "newer"), NOW)
        .then(PasswordRehashed("newer", NOW), SessionStarted("s2", b"two", NOW + SESSION_MS, NOW))
    )

    assert state.password_hash == "newer"


def test_a_password_that_changed_since_it_was_checked_does_not_log_in():
    given(DECIDER, REGISTERED, PasswordRehashed("newer", NOW)).when(
        LogIn("s2", b"two", "hash"), NOW
    ).rejected("bad_credentials")


def test_nobody_logs_in_to_a_vacant_address():
    given(DECIDER).when(LogIn("s2", b"two", "hash"), NOW).rejected("bad_credentials")


def test_the_oldest_session_makes_room_for_one_too_many():
    sessions = [SessionStarted(f"s{i}", b"x", NOW + SESSION_MS, NOW) for i in range(MAX_SESSIONS)]

    state = (
        given(DECIDER, REGISTERED, *sessions)
        .when(LogIn("new", b"n", "hash"), NOW + 1)
        .then(
            SessionRevoked("s0", "superseded", NOW + 1),
            SessionStarted("new", b"n", NOW + 1 + SESSION_MS, NOW + 1),
        )
    )

    assert len(state.sessions) == MAX_SESSIONS


def test_a_refresh_replaces_the_token():
    state = (
        given(DECIDER, REGISTERED, STARTED)
        .when(Refresh("s1", b"one", b"two"), NOW + 5)
        .then(SessionRefreshed("s1", b"two", NOW + 5 + SESSION_MS, NOW + 5))
    )

    assert state.sessions[0].token_hash == b"two"


def test_a_token_that_was_exchanged_before_ends_its_session():
    refreshed = SessionRefreshed("s1", b"two", NOW + SESSION_MS, NOW)

    state = (
        given(DECIDER, REGISTERED, STARTED, refreshed)
        .when(Refresh("s1", b"one", b"three"), NOW + 5)
        .then(SessionRevoked("s1", "reuse", NOW + 5))
    )

    assert state.sessions == ()


def test_a_session_that_was_ended_cannot_be_refreshed():
    given(DECIDER, REGISTERED, STARTED, SessionRevoked("s1", "logout", NOW)).when(
        Refresh("s1", b"one", b"two"), NOW
    ).rejected("unauthenticated")


def test_a_session_ends_by_itself_after_thirty_days():
    given(DECIDER, REGISTERED, STARTED).when(Refresh("s1", b"one", b"two"), NOW + SESSION_MS).rejected(
        "unauthenticated"
    )


def test_expired_sessions_are_forgotten_by_the_next_event():
    late = NOW + SESSION_MS

    state = given(DECIDER, REGISTERED, STARTED, SessionStarted("s2", b"two", late + SESSION_MS, late)).state

    assert [s.sid for s in state.sessions] == ["s2"]


def test_logging_out_ends_the_session_once():
    past = (REGISTERED, STARTED)
    ended = SessionRevoked("s1", "logout", NOW)

    given(DECIDER, *past).when(LogOut("s1"), NOW).then(ended)
    given(DECIDER, *past, ended).when(LogOut("s1"), NOW).then()


def test_logging_out_of_a_vacant_address_changes_nothing():
    given(DECIDER).when(LogOut("s1"), NOW).then()


def test_every_event_is_stored_under_its_own_name():
    assert isinstance(REGISTRY, Registry)
    assert set(REGISTRY.names) == {
        "AccountRegistered",
        "PasswordRehashed",
        "SessionStarted",
        "SessionRefreshed",
        "SessionRevoked",
    }
