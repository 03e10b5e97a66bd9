"""The session: frames and time in, effects out. No loop, no socket."""

import json

import pytest

from realtime import protocol
from realtime.budgets import RATES
from realtime.channels import ChannelName
from realtime.codes import CloseCode
from realtime.effects import (
    Close,
    Failed,
    Fetch,
    Identity,
    Joined,
    Mark,
    NotJoined,
    Purpose,
    Say,
    Send,
    ShowTyping,
    Subscribe,
    Unsubscribe,
    VerifyToken,
)
from realtime.protocol import ChannelState, Item, Items, Noted, Placed
from realtime.session import DEAD_AFTER_MS, MAX_REQUESTS, MAX_SOCKETS_PER_USER, Limits
from realtime.subscriptions import MAX_SUBSCRIPTIONS
from tests.unit.realtime.builders import (
    CHAT,
    OTHER,
    ROOM,
    SALE,
    asking_channels,
    asking_token,
    close_code,
    command,
    new_session,
    opened,
    sent,
)

ADA = Identity("usr_1", "buyer", "s1", life_ms=600_000)
CHANNEL = f"sale:{SALE}"


def joined(n: int = 3, top: int = 9) -> Joined:
    return Joined(ChannelState(n, "e1", top, {"state": "open"}))


def signed_in(now: int = 0, identity: Identity = ADA):
    session = new_session(now)
    asked = asking_token(session.receive(command("hello", {"token": "t"}), now))
    session.verified(asked, identity, 0, now)
    return session


# --- hello ---


def test_an_anonymous_hello_is_welcomed():
    [reply] = sent(new_session().receive(command("hello", i=7), 0))

    assert reply == {
        "r": 7,
        "d": {"conn": "c1", "node": "hub-1", "ping": 25, "max": 16384, "channels": {}},
    }


def test_a_hello_with_a_token_waits_for_the_verdict():
    session = new_session()
    asked = asking_token(session.receive(command("hello", {"token": "t"}), 0))

    assert asked == VerifyToken(1, "t", Purpose.HELLO)
    assert sent(session.verified(asked, ADA, 0, 0))[0]["d"]["conn"] == "c1"
    assert session.identity == ADA


def test_commands_behind_a_hello_in_one_frame_wait_for_the_verdict():
    session = new_session()
    frame = f"[{command('hello', {'token': 't'})},{command('sub', {'ch': CHANNEL}, i=2)}]"
    asked = asking_token(session.receive(frame, 0))
    welcome, subscribe = session.verified(asked, ADA, 0, 0)

    assert isinstance(welcome, Send)
    assert isinstance(subscribe, Subscribe)


@pytest.mark.parametrize(
    ("code", "close"),
    (
        ("unauthenticated", CloseCode.UNAUTHENTICATED),
        ("token_expired", CloseCode.TOKEN_EXPIRED),
        ("unavailable", CloseCode.INTERNAL),
    ),
)
def test_a_refused_token_is_told_and_closes(code, close):
    session = new_session()
    asked = asking_token(session.receive(command("hello", {"token": "t"}), 0))
    effects = session.token_refused(asked, code)

    assert sent(effects) == [{"r": 1, "e": {"code": code, "temp": code == "unavailable"}}]
    assert close_code(effects) == close


def test_the_ninth_socket_of_a_user_is_closed():
    session = new_session()
    asked = asking_token(session.receive(command("hello", {"token": "t"}), 0))

    assert close_code(session.verified(asked, ADA, MAX_SOCKETS_PER_USER, 0)) == CloseCode.TOO_MANY_SOCKETS


def test_hello_must_come_in_time():
    session = new_session(1_000)

    assert session.deadline() == 6_000
    assert session.tick(5_999) == []
    assert close_code(session.tick(6_000)) == CloseCode.UNAUTHENTICATED


def test_pongs_do_not_put_off_the_hello():
    session = new_session()
    session.receive("{}", 4_000)

    assert close_code(session.tick(5_000)) == CloseCode.UNAUTHENTICATED


def test_another_command_before_hello_closes():
    assert close_code(new_session().receive(command("sub", {"ch": CHANNEL}), 0)) == CloseCode.UNAUTHENTICATED


def test_a_second_hello_is_refused():
    assert sent(opened().receive(command("hello"), 0))[0]["e"]["code"] == "wrong_state"


def test_a_hello_resumes_channels_and_its_reply_tells_where_they_are():
    session = new_session()
    resume = [[CHANNEL, "e1", 5], ["room:x", "e1", 5], [f"sale:{OTHER}", "e1", 5]]
    asked = asking_channels(session.receive(command("hello", {"resume": resume}), 0))
    effects = session.subscribed(asked, (joined(), NotJoined("not_found")), 0)

    assert [(each.channel.id, each.epoch, each.since) for each in asked.wanted] == [
        (SALE, "e1", 5),
        (OTHER, "e1", 5),
    ]
    assert sent(effects)[0]["d"]["channels"] == {
        CHANNEL: {"n": 3, "epoch": "e1", "top": 9, "snapshot": {"state": "open"}}
    }


# --- commands ---


def test_an_unknown_command_is_an_error_and_not_the_end():
    session = opened()

    assert sent(session.receive(command("dance", i=4), 0)) == [
        {"r": 4, "e": {"code": "unknown_command", "temp": False}}
    ]
    assert not session.closed


@pytest.mark.parametrize("d", (7, [], {"ch": 7}, {}, {"ch": CHANNEL, "since": "x"}))
def test_a_command_that_cannot_be_read_is_a_bad_request(d):
    assert sent(opened().receive(command("sub", d), 0))[0]["e"]["code"] == "bad_request"


def test_sub_is_answered_with_where_the_channel_is():
    session = opened()
    asked = asking_channels(session.receive(command("sub", {"ch": CHANNEL}, i=2), 0))

    assert sent(session.subscribed(asked, (joined(),), 0)) == [
        {"r": 2, "d": {"n": 3, "epoch": "e1", "top": 9, "snapshot": {"state": "open"}}}
    ]


def test_sub_of_an_unknown_sale_is_not_found():
    session = opened()
    asked = asking_channels(session.receive(command("sub", {"ch": CHANNEL}, i=2), 0))

    assert sent(session.subscribed(asked, (NotJoined("not_found"),), 0)) == [
        {"r": 2, "e": {"code": "not_found", "temp": False}}
    ]


def test_sub_of_what_can_be_no_channel_is_not_found():
    assert sent(opened().receive(command("sub", {"ch": "sale:x"}), 0))[0]["e"]["code"] == "not_found"


def test_what_may_be_tried_again_says_so():
    session = opened()
    asked = asking_channels(session.receive(command("sub", {"ch": CHANNEL}), 0))

    assert sent(session.subscribed(asked, (NotJoined("unavailable"),), 0))[0]["e"]["temp"] is True


def test_unsub_leaves_the_channel_once():
    session = opened()
    asked = asking_channels(session.receive(command("sub", {"ch": CHANNEL}), 0))
    session.subscribed(asked, (joined(),), 0)
    leave, reply = session.receive(command("unsub", {"n": 3}, i=5), 0)

    assert leave == Unsubscribe(3)
    assert sent([reply]) == [{"r": 5, "d": {"n": 3}}]
    assert sent(session.receive(command("unsub", {"n": 3}), 0))[0]["e"]["code"] == "not_found"


def test_subscriptions_are_limited_also_while_they_are_looked_up():
    session = opened(limits=Limits(rates=False))
    asked = asking_channels(session.receive(command("sub", {"ch": CHANNEL}), 0))
    for _ in range(MAX_SUBSCRIPTIONS - 1):
        asked = asking_channels(session.receive(command("sub", {"ch": CHANNEL}), 0))

    assert sent(session.receive(command("sub", {"ch": CHANNEL}), 0))[0]["e"]["code"] == "limit_reached"
    session.subscribed(asked, (NotJoined("not_found"),), 0)
    assert isinstance(session.receive(command("sub", {"ch": CHANNEL}), 0)[0], Subscribe)


# --- tokens ---


def test_a_token_that_expires_closes_and_a_refresh_puts_it_off():
    session = signed_in()
    session.receive("{}", 590_000)
    asked = asking_token(session.receive(command("refresh", {"token": "u"}, i=2), 590_000))
    [reply] = sent(session.verified(asked, ADA, 1, 590_000))
    for now in range(600_000, 1_190_000, 30_000):
        session.receive("{}", now)

        assert close_code(session.tick(now)) is None
    assert reply == {"r": 2, "d": {"expires_in": 600}}
    session.heard(1_190_000)
    assert session.deadline() == 1_190_000
    assert close_code(session.tick(1_190_000)) == CloseCode.TOKEN_EXPIRED


def test_a_refresh_for_another_account_is_forbidden():
    session = signed_in()
    asked = asking_token(session.receive(command("refresh", {"token": "u"}), 0))

    assert (
        sent(session.verified(asked, Identity("usr_2", "buyer", "s2", 1), 0, 0))[0]["e"]["code"]
        == "forbidden"
    )


def test_a_refused_refresh_leaves_the_connection_to_its_old_token():
    session = signed_in()
    asked = asking_token(session.receive(command("refresh", {"token": "u"}), 0))

    assert sent(session.token_refused(asked, "token_expired"))[0]["e"]["code"] == "token_expired"
    assert not session.closed


def test_an_anonymous_connection_has_nothing_to_refresh():
    assert sent(opened().receive(command("refresh", {"token": "u"}), 0))[0]["e"]["code"] == "wrong_state"


# --- rates ---


def test_over_the_rate_a_command_is_refused_with_the_time_to_wait():
    session = opened()
    for _ in range(RATES["unknown"].burst):
        session.receive(command("dance"), 0)
    [refusal] = sent(session.receive(command("dance", i=9), 0))

    assert refusal["r"] == 9
    assert refusal["e"] == {"code": "rate_limited", "temp": True, "retry_ms": 201}
    assert sent(session.receive(command("dance"), 201))[0]["e"]["code"] == "unknown_command"


def test_the_third_violation_within_a_minute_closes():
    session = opened()
    frame = "[" + ",".join([command("dance")] * (RATES["unknown"].burst + 2)) + "]"

    assert close_code(session.receive(frame, 0)) is None
    assert session.receive(command("dance"), 0)[-1] == Close(CloseCode.RATE, retry_ms=10_000)


def test_violations_are_forgotten_after_a_minute():
    session = opened()
    for now in (0, 61_000, 122_000, 183_000):
        frame = "[" + ",".join([command("dance")] * (RATES["unknown"].burst + 2)) + "]"

        assert close_code(session.receive(frame, now)) is None


def test_a_flood_of_pongs_is_closed_too():
    session = opened()
    codes = {close_code(session.receive("{}", 0)) for _ in range(RATES["frame"].burst + 3)}

    assert codes == {None, CloseCode.RATE}


def test_rates_can_be_lifted_and_nothing_else():
    session = opened(limits=Limits(rates=False))
    for _ in range(1_000):
        session.receive(command("dance"), 0)

    assert not session.closed
    assert close_code(session.receive("nonsense", 0)) == CloseCode.BAD_FRAME


# --- liveness ---


@pytest.mark.parametrize(("jitter", "at"), ((0.0, 20_000), (0.5, 25_000), (1.0, 30_000)))
def test_silence_is_broken_by_a_ping_within_20_percent_of_25_seconds(jitter, at):
    session = new_session(jitter=jitter)
    session.receive(command("hello"), 0)

    assert session.deadline() == at
    assert session.tick(at - 1) == []
    assert session.tick(at) == [Send(protocol.PING)]
    assert session.tick(at + 1) == []


def test_a_client_that_only_listens_is_asked_before_it_is_taken_for_dead():
    session = opened()
    pings = []
    for now in range(0, 25_001, 100):
        session.last_out = now
        pings += session.tick(now)

    assert pings == [Send(protocol.PING)]


def test_without_a_sign_of_life_the_connection_is_dead():
    session = opened()
    session.tick(25_000)

    assert session.deadline() == DEAD_AFTER_MS
    assert close_code(session.tick(DEAD_AFTER_MS)) == CloseCode.NO_PONG


@pytest.mark.parametrize("frame", ("{}", command("dance")))
def test_any_frame_is_a_sign_of_life(frame):
    session = opened()
    session.tick(25_000)
    session.receive(frame, 34_000)

    assert close_code(session.tick(DEAD_AFTER_MS)) is None


# --- the end ---


@pytest.mark.parametrize("frame", ("nonsense", b"{}", "x" * 20_000))
def test_after_a_close_nothing_more_is_done(frame):
    session = opened()
    code = close_code(session.receive(frame, 0))

    assert code in {CloseCode.BAD_FRAME, CloseCode.TOO_BIG}
    assert session.receive(command("dance"), 0) == []
    assert session.tick(10**9) == []
    assert session.deadline() is None


def test_commands_behind_one_that_closes_are_not_done():
    frame = json.dumps([{"i": 1, "t": "sub", "d": {"ch": CHANNEL}}, {"i": 2, "t": "hello"}])

    assert sent(new_session().receive(frame, 0)) == []


# --- saying, reading back, cursors, typing ---


def inside(session, channel: str = ROOM, n: int = 3):
    asked = asking_channels(session.receive(command("sub", {"ch": channel}), 0))
    session.subscribed(asked, (Joined(ChannelState(n, "e1", 9)),), 0)
    return session


@pytest.mark.parametrize(
    ("name", "d", "request_"),
    (
        ("msg", {"n": 3, "text": "hi"}, Say(7, ChannelName("room", SALE), "k1", "hi")),
        ("history", {"n": 3, "before": 9, "limit": 5}, Fetch(7, ChannelName("room", SALE), 9, 5)),
        ("ack", {"n": 3, "s": 9}, Mark(7, ChannelName("room", SALE), 9, read=False)),
        ("read", {"n": 3, "s": 9}, Mark(7, ChannelName("room", SALE), 9, read=True)),
        ("typing", {"n": 3}, ShowTyping(7, ChannelName("room", SALE))),
    ),
)
def test_a_request_is_passed_on_and_its_answer_told(name, d, request_):
    session = inside(signed_in())

    assert session.receive(command(name, d, i=7, k="k1"), 0) == [request_]
    assert sent(session.answered(7, Failed("muted", 50), 0)) == [
        {"r": 7, "e": {"code": "muted", "temp": True, "retry_ms": 50}}
    ]


@pytest.mark.parametrize(
    ("answer", "d"),
    (
        (Placed(9), {"s": 9}),
        (Noted(), {}),
        (
            Items((Item(2, 1, "msg", 7),), more=True),
            {"items": [{"s": 2, "p": 1, "t": "msg", "d": 7}], "more": True},
        ),
    ),
)
def test_answers_are_replies(answer, d):
    session = inside(signed_in())
    session.receive(command("typing", {"n": 3}, i=7), 0)

    assert sent(session.answered(7, answer, 0)) == [{"r": 7, "d": d}]


@pytest.mark.parametrize(
    ("name", "d", "more"),
    (
        ("msg", {"n": 3, "text": ""}, {"k": "k"}),
        ("msg", {"n": 3, "text": "x" * 4_001}, {"k": "k"}),
        ("msg", {"n": 3, "text": "x"}, {}),
        ("msg", {"n": 3, "text": "x"}, {"k": ""}),
        ("msg", {"n": 3, "text": "x"}, {"k": "x" * 65}),
        ("msg", {"n": 3, "text": "x"}, {"k": "ü"}),
        ("history", {"n": 3, "limit": 101}, {}),
        ("history", {"n": 3, "limit": 0}, {}),
        ("ack", {"n": 3, "s": -1}, {}),
        ("read", {"n": 3, "s": 1 << 53}, {}),
        ("typing", {}, {}),
    ),
)
def test_a_request_that_cannot_be_meant_is_a_bad_request(name, d, more):
    session = inside(signed_in())

    assert sent(session.receive(command(name, d, **more), 0))[0]["e"]["code"] == "bad_request"


@pytest.mark.parametrize("name", ("msg", "ack", "read", "typing"))
def test_who_did_not_sign_in_only_reads(name):
    session = inside(opened())
    d = {"n": 3, "text": "x", "s": 1}

    assert sent(session.receive(command(name, d, k="k"), 0))[0]["e"]["code"] == "unauthenticated"
    assert isinstance(session.receive(command("history", {"n": 3}), 0)[0], Fetch)


@pytest.mark.parametrize("channel", (CHAT, "me"))
def test_channels_of_people_need_a_sign_in(channel):
    assert sent(opened().receive(command("sub", {"ch": channel}), 0))[0]["e"]["code"] == "unauthenticated"
    session = new_session()
    effects = session.receive(command("hello", {"resume": [[channel, "e1", 5]]}), 0)
    assert sent(effects)[0]["d"]["channels"] == {}


def test_me_is_the_channel_of_the_account():
    asked = asking_channels(signed_in().receive(command("sub", {"ch": "me"}), 0))

    assert [each.channel.key for each in asked.wanted] == ["me:usr_1"]


def test_a_number_that_is_not_followed_is_not_found():
    session = inside(signed_in())

    assert sent(session.receive(command("typing", {"n": 4}), 0))[0]["e"]["code"] == "not_found"


def test_requests_under_way_are_limited():
    session = inside(opened(limits=Limits(rates=False)))
    for _ in range(MAX_REQUESTS):
        session.receive(command("history", {"n": 3}), 0)

    assert sent(session.receive(command("history", {"n": 3}), 0))[0]["e"]["code"] == "overloaded"
    session.answered(1, Noted(), 0)
    assert isinstance(session.receive(command("history", {"n": 3}), 0)[0], Fetch)


@pytest.mark.parametrize(
    ("name", "burst"), (("msg", 20), ("typing", 2), ("ack", 20), ("read", 20), ("history", 10))
)
def test_every_class_of_request_has_a_rate_of_its_own(name, burst):
    session = inside(signed_in())
    d = {"n": 3, "text": "x", "s": 1}
    for _ in range(burst):
        session.receive(command(name, d, k="k"), 0)

    assert sent(session.receive(command(name, d, k="k"), 0))[0]["e"]["code"] == "rate_limited"
    assert "e" not in (sent(session.receive(command("unsub", {"n": 3}), 0)) or [{}])[0]


# --- being sent away ---


def test_who_is_taken_off_a_channel_is_told_why_and_may_not_speak_in_it():
    session = inside(signed_in())
    leave, notice = session.taken_off(3, "banned", 0)

    assert leave == Unsubscribe(3)
    assert sent([notice]) == [{"t": "unsub", "d": {"n": 3, "code": "banned"}}]
    assert sent(session.receive(command("typing", {"n": 3}), 0))[0]["e"]["code"] == "not_found"
    assert session.taken_off(3, "banned", 0) == []


def test_goaway_is_told_to_those_who_said_hello_and_changes_nothing():
    session = opened()

    assert sent(session.going_away(1_000, 500)) == [
        {"t": "goaway", "d": {"deadline_ms": 1_000, "spread_ms": 500}}
    ]
    assert isinstance(session.receive(command("sub", {"ch": CHANNEL}), 0)[0], Subscribe)


def test_who_has_yet_to_be_let_in_is_sent_away_at_once_and_not_twice():
    session = new_session()

    assert session.going_away(1_000, 500) == [Close(CloseCode.DRAINING)]
    assert session.going_away(1_000, 500) == []


def test_an_operators_key_has_no_end_of_its_own():
    session = signed_in(identity=Identity("opr_1", "operator", "", None, "Ada"))
    session.heard(10**9)
    asked = asking_token(session.receive(command("refresh", {"token": "tk_2"}, i=2), 10**9))

    assert close_code(session.tick(10**9)) is None
    assert sent(session.verified(asked, Identity("opr_1", "operator", "", None), 1, 10**9)) == [
        {"r": 2, "d": {"expires_in": None}}
    ]


@pytest.mark.parametrize(
    ("state", "place"),
    (
        (ChannelState(3, "e1", 20), ("e1", 5)),
        (ChannelState(3, "e1", 20, {"x": 1}), ("e1", 20)),
        (ChannelState(3, "e1", 20, reset=True), ("e1", 20)),
        (ChannelState(3, "e2", 20), ("e2", 20)),
    ),
)
def test_the_place_after_a_reply_is_where_the_client_goes_on_from(state, place):
    session = opened()
    asked = asking_channels(session.receive(command("sub", {"ch": ROOM, "epoch": "e1", "since": 5}), 0))
    [reply] = session.subscribed(asked, (Joined(state),), 0)

    assert isinstance(reply, Send)
    assert reply.place == place


def test_a_channel_that_got_another_number_is_known_by_that_only():
    session = inside(inside(signed_in()), n=8)

    assert sent(session.receive(command("typing", {"n": 3}), 0))[0]["e"]["code"] == "not_found"
    assert isinstance(session.receive(command("typing", {"n": 8}), 0)[0], ShowTyping)
