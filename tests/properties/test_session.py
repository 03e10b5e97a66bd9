"""Laws of the realtime core: no frame breaks a session, and no last state is lost."""

import asyncio
import contextlib
import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from realtime import codes, protocol
from realtime.client_channels import applies
from realtime.effects import (
    Close,
    Failed,
    Fetch,
    Identity,
    Joined,
    Mark,
    NotJoined,
    Say,
    Send,
    ShowTyping,
    Subscribe,
    Unsubscribe,
    VerifyToken,
)
from realtime.hub import Hub
from realtime.latest import COALESCE_MS
from realtime.protocol import ChannelState
from realtime.session import Session
from tests.unit.realtime.builders import KEY, NAME, SALE, RecordingSubscriber, new_session, sale_shown

CHANNEL = f"sale:{SALE}"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PAYLOADS = st.one_of(
    JSON,
    st.fixed_dictionaries({"ch": st.sampled_from((CHANNEL, "sale:x", "room:1", f"room:{SALE}", "me"))}),
    st.fixed_dictionaries({"n": st.integers(0, 3)}),
    st.fixed_dictionaries({"n": st.just(1), "text": st.text(max_size=5)}),
    st.fixed_dictionaries({"n": st.just(1), "s": st.integers(-1, 9), "limit": st.integers(0, 200)}),
    st.fixed_dictionaries({"token": st.text(max_size=5)}),
    st.fixed_dictionaries(
        {"resume": st.lists(st.tuples(st.just(CHANNEL), st.just("e"), st.integers()), max_size=3)}
    ),
)
COMMANDS = st.fixed_dictionaries(
    {"i": st.integers(0, 9), "t": st.sampled_from((*protocol.COMMANDS, "dance")), "d": PAYLOADS},
    optional={"k": st.text(max_size=3)},
)
FRAMES = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=50),
    JSON.map(json.dumps),
    COMMANDS.map(json.dumps),
    st.lists(COMMANDS | st.just({}), max_size=5).map(json.dumps),
)
STEPS = st.lists(st.tuples(FRAMES, st.integers(0, 40_000), st.booleans()), max_size=20)


def answer(session: Session, effect, now: int, *, yes: bool):
    """Play the shell for one effect that wants an answer."""
    match effect:
        case VerifyToken() if yes:
            return session.verified(effect, Identity("usr_1", "buyer", "s", 60_000), 0, now)
        case VerifyToken():
            return session.token_refused(effect, "unauthenticated")
        case Subscribe():
            state = Joined(ChannelState(1, "e", 5)) if yes else NotJoined("not_found")
            return session.subscribed(effect, (state,) * len(effect.wanted), now)
        case Say() | Mark() | Fetch() | ShowTyping():
            return session.answered(effect.ref, protocol.Placed(7) if yes else Failed("muted", 50), now)
        case _:
            return []


@given(st.booleans(), STEPS)
def test_no_sequence_of_frames_breaks_a_session(greeted, steps):
    session = new_session()
    now = 0
    if greeted:
        session.receive('{"i":0,"t":"hello"}', now)
    for frame, pause, yes in steps:
        now += pause
        was_closed = session.closed
        queue = session.tick(now) + session.receive(frame, now)
        while queue:
            effect = queue.pop(0)

            assert not was_closed
            assert isinstance(
                effect, Send | VerifyToken | Subscribe | Unsubscribe | Say | Mark | Fetch | ShowTyping | Close
            )
            if isinstance(effect, Send):
                assert isinstance(json.loads(effect.frame), dict)
            if isinstance(effect, Close):
                assert effect.code in range(4000, 4600)
                assert session.closed
                assert len(codes.encode_reason(effect.retry_ms)) <= 123
                assert queue == []
            queue = answer(session, effect, now, yes=yes) + queue
        assert session.closed is (session.deadline() is None)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_decoder_raise_anything_else(raw):
    for frame in (raw, raw.decode("utf-8", "surrogateescape"), raw.decode("latin-1")):
        with contextlib.suppress(protocol.BadFrame):
            protocol.decode_frame(frame)


@given(st.text(alphabet='[]{}"\\a', max_size=120))
def test_depth_is_what_a_json_reader_would_find(text):
    """Against a plain recursive reading: nesting outside strings, as it is opened."""
    depth = deepest = 0
    quoted, characters = False, iter(text)
    for character in characters:
        if quoted:
            if character == "\\":
                next(characters, None)
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1

    assert protocol.too_deep(text.encode()) is (deepest > protocol.MAX_DEPTH)


class Follower:
    """A client by the book: applies, drops, or notes a gap."""

    def __init__(self, state: ChannelState) -> None:
        self.last = state.top
        self.value = json.loads(bytes(state.snapshot))
        self.subscriber = RecordingSubscriber()

    def read(self) -> None:
        for event in self.subscriber.events:
            verdict = applies(self.last, event["s"], event["p"])

            assert verdict is not None
            if verdict:
                self.last, self.value = event["s"], event["d"]
        self.subscriber.events.clear()


@given(st.lists(st.tuples(st.sampled_from(("publish", "join", "wait")), st.integers(1, 250)), max_size=60))
def test_coalescing_never_loses_the_last_state_and_never_leaves_a_gap(steps):
    """Whoever joins whenever ends with the state that a fresh fetch would give."""
    asyncio.run(follow(steps))


async def follow(steps: list[tuple[str, int]]) -> None:
    now = [0]
    hub = Hub(lambda: now[0])
    position, sent_at = 1, []
    followers: list[Follower] = []

    def join() -> None:
        subscriber = RecordingSubscriber()
        channel = hub.join(NAME, subscriber, "e", sale_shown(position, available=position))
        follower = Follower(channel.state(None, None))
        follower.subscriber = subscriber
        followers.append(follower)

    async def run(ms: int) -> None:
        now[0] += ms
        await hub._broadcast_due()
        if followers[0].subscriber.events:
            sent_at.append(now[0])
        for follower in followers:
            follower.read()

    join()
    for what, amount in steps:
        match what:
            case "publish":
                position += amount
                hub.publish(KEY, sale_shown(position, available=position))
                await run(0)
            case "join":
                join()
            case _:
                await run(amount)
    await run(COALESCE_MS)

    assert {follower.last for follower in followers} == {position}
    assert {follower.value["available"] for follower in followers} == {position}
    assert all(later - earlier >= COALESCE_MS for earlier, later in pairwise(sent_at))
