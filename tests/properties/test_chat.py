"""Chat against what people saw: the same rules run by the writer over a faulty log, killed and forgetting at any moment."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cells.engine.hot import Changed
from cells.engine.writer import Writer
from cells.kernel import envelope, ids
from cells.kernel.clock import ManualClock
from cells.log.memory import Fault, MemoryLog
from server.chat import text as texts
from server.chat.commands import (
    Answer,
    Command,
    CursorsMoved,
    LookAt,
    Moderate,
    MoveCursors,
    OpenConversation,
    Posted,
    PostMessage,
    Refusal,
    Seen,
)
from server.chat.evolve import evolve
from server.chat.fold import Conversation
from server.chat.frames import shown
from server.chat.model import (
    CONVERSATION,
    EVENTS,
    EVENTS_PER_COMMIT,
    By,
    Channel,
    Delivered,
    MessageDeleted,
    MessagePosted,
    ReadUpTo,
    s_of,
)
from server.chat.rules import ChatRules
from server.chat.wire import key_digest

SLOT = 7
CNV = ids.new_id("cnv", SLOT, 0, bytes(10))
BUYER, MERCHANT = "usr_b", "mer_m"
SIDES = st.sampled_from([BUYER, MERCHANT])
KEYS = st.sampled_from(["k1", "k2", "k3", "k4"])
TEXTS = st.sampled_from(["hello", "hello ", "é", "é", "<b>no</b>"])
OPEN = OpenConversation(CNV, BUYER, MERCHANT, "", "Title", "Bea")


class Live:
    """A reader who applies what the writer tells, as clients do."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, str]] = []

    def loaded(self, change: Changed) -> None:
        """Nothing is told."""

    def changed(self, change: Changed) -> None:
        channel: Channel = change.state
        previous = s_of(channel.positions, channel.before)
        self.told += [
            (e.event.s, e.event.p, e.event.t) for e in shown(change.events, change.position, previous)
        ]

    def unloaded(self, key: str) -> None:
        """Nothing is told."""


class WrittenChat(RuleBasedStateMachine):
    """Messages, cursors and deletions over a log that loses messages and acknowledgements."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock, self.log = ManualClock(), MemoryLog()
        self.term, self.count = 0, 0
        self.said: dict[tuple[str, str], tuple[int, str]] = {}
        self.cursors: dict[str, tuple[int, int]] = {}
        self.begin()
        assert not isinstance(self.ask(OPEN), Refusal)

    def begin(self) -> None:
        self.term += 1
        self.live = Live()
        self.writer: Writer[Channel, Command] = Writer(
            self.log, ChatRules(CONVERSATION), self.clock, self.live, term=self.term, name="memory"
        )

    def ask(self, command: Command) -> Answer:
        """As a client does it: again, until the outcome is known."""
        for _ in range(10):
            answer = self.loop.run_until_complete(asyncio.wait_for(self._once(command), 5))
            if not (isinstance(answer, Refusal) and answer.code in ("unavailable", "outcome_unknown")):
                return answer
        raise AssertionError("the writer never gave a definite answer")

    async def _once(self, command: Command) -> Answer:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.writer.submit(SLOT, CNV, command, self.clock.now() + 5_000, answered.set_result)
        return await answered

    @rule(author=SIDES, key=KEYS, text=TEXTS)
    def say(self, author: str, key: str, text: str) -> None:
        """A new key is a new message, an old one its own message for ever, or no message at all."""
        self.count += 1
        command = PostMessage(
            CNV,
            f"msg_{self.count}",
            author,
            "Name",
            "buyer" if author == BUYER else "merchant",
            text,
            key_digest(author, key),
        )
        answer = self.ask(command)
        known = self.said.get((author, key))
        cleaned = texts.clean(text) or ""
        if known is not None and known[1] != cleaned:
            assert isinstance(answer, Refusal)
            assert answer.code == "key_reused"
            return
        assert isinstance(answer, Posted)
        assert known is None or answer.s == known[0]
        assert all(s != answer.s for k, (s, _) in self.said.items() if k != (author, key))
        self.said[author, key] = (answer.s, cleaned)

    @rule(author=SIDES)
    def somebody_comes_while_others_talk(self, author: str) -> None:
        """Who comes between two messages of one commit is told to be between them."""
        self.count += 1
        commands: list[Command] = []
        for number in range(3):
            key = key_digest(author, f"{self.count} {number}")
            role: Any = "buyer" if author == BUYER else "merchant"
            commands += [
                PostMessage(CNV, f"msg_{self.count}.{number}", author, "Name", role, "hi", key),
                LookAt(CNV, author, role),
            ]
        answers = self.loop.run_until_complete(asyncio.wait_for(self._at_once(commands), 5))
        for said, seen in zip(answers[::2], answers[1::2], strict=True):
            if isinstance(said, Posted):
                assert isinstance(seen, Seen)
                assert seen.s == said.s

    async def _at_once(self, commands: list[Command]) -> list[Answer]:
        return await asyncio.gather(*(self._once(command) for command in commands))

    @rule(user=SIDES, delivered=st.integers(0, 40), read=st.integers(0, 40))
    def receipts_arrive_in_any_order(self, user: str, delivered: int, read: int) -> None:
        answer = self.ask(MoveCursors(CNV, user, delivered * EVENTS_PER_COMMIT, read * EVENTS_PER_COMMIT))
        if isinstance(answer, Refusal):
            assert answer.code == "bad_request"
            return
        assert isinstance(answer, CursorsMoved)
        before = self.cursors.get(user, (0, 0))
        assert (answer.delivered, answer.read) >= before
        assert answer.delivered >= before[0]
        assert answer.delivered >= answer.read >= before[1]
        self.cursors[user] = (answer.delivered, answer.read)

    @rule(number=st.integers(0, 40))
    def a_message_is_deleted(self, number: int) -> None:
        self.ask(Moderate(CNV, "delete", By(MERCHANT, "merchant", ""), f"msg_{number}"))

    @rule(faults=st.lists(st.sampled_from([None, *Fault]), min_size=1, max_size=3))
    def the_log_fails(self, faults: list[Fault | None]) -> None:
        self.log.faults.extend(faults)

    @rule()
    def the_writer_is_killed(self) -> None:
        self.begin()

    @rule()
    def the_conversation_leaves_the_memory(self) -> None:
        self.writer._owned.clear()

    @invariant()
    def memory_is_what_the_log_says(self) -> None:
        for owned in self.writer._owned.values():
            fresh = Channel(owned.positions)
            for stored in self.log.stored("log.>"):
                commit = envelope.decode(EVENTS, stored.body)
                for event in commit.events:
                    evolve(fresh, event, commit.version)
            assert fresh == owned.state

    @invariant()
    def the_log_has_each_message_once_and_cursors_only_rise(self) -> None:
        keys: set[bytes] = set()
        cursors: dict[tuple[type, str], int] = {}
        for _, event in self.events():
            match event:
                case MessagePosted():
                    assert event.key not in keys
                    keys.add(event.key)
                case Delivered(user, up_to) | ReadUpTo(user, up_to):
                    assert up_to > cursors.get((type(event), user), -1)
                    cursors[type(event), user] = up_to
                case _:
                    pass

    @invariant()
    def what_is_told_is_a_chain(self) -> None:
        told = self.live.told
        assert all(later[1] == earlier[0] for earlier, later in pairwise(told))

    def events(self) -> list[tuple[int, Any]]:
        found = []
        for stored in self.log.stored("log.>"):
            for index, event in enumerate(envelope.decode(EVENTS, stored.body).events):
                found.append((stored.position * EVENTS_PER_COMMIT + index, event))
        return found

    @invariant()
    def unread_counts_equal_a_recount(self) -> None:
        conversation, counted = Conversation(CNV), {BUYER: 0, MERCHANT: 0}
        for s, event in self.events():
            changed = conversation.apply(event, s)
            counted |= dict([changed]) if changed is not None else {}
        assert counted == {side: recount(self.events(), side) for side in counted}

    def teardown(self) -> None:
        self.loop.close()


def recount(events: Sequence[tuple[int, Any]], side: str) -> int:
    """Count what a side has not read, in the most obvious way."""
    deleted = {e.message_id for _, e in events if isinstance(e, MessageDeleted)}
    read = max((e.s for _, e in events if isinstance(e, ReadUpTo) and e.user == side), default=0)
    return sum(
        isinstance(e, MessagePosted) and e.author != side and s > read and e.message_id not in deleted
        for s, e in events
    )


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, Any]]:
    """Events of a conversation at rising positions; cursors may point anywhere, also backwards."""
    by = By(MERCHANT, "merchant", "")
    events: list[tuple[int, Any]] = []
    s = 0
    for number in range(draw(st.integers(0, 25))):
        s += draw(st.integers(1, 3))
        user = draw(SIDES)
        up_to = draw(st.integers(0, s))
        role: Any = "buyer" if user == BUYER else "merchant"
        posted = MessagePosted(f"msg_{number}", user, "Name", role, "hi", b"", 0)
        deleted = MessageDeleted(f"msg_{draw(st.integers(0, number))}", by, 0)
        events.append(
            (
                s,
                draw(
                    st.sampled_from(
                        [posted, posted, deleted, Delivered(user, up_to, 0), ReadUpTo(user, up_to, 0)]
                    )
                ),
            )
        )
    return events


@given(histories(), st.data())
def test_a_row_between_two_batches_forgets_nothing_that_counts(
    events: list[tuple[int, Any]], data: st.DataObject
) -> None:
    """The projection keeps counts and cursors, and reads what is unread from the messages again."""
    whole = Conversation(CNV, BUYER, "Bea", MERCHANT)
    batched = msgspec.structs.replace(whole, waiting=[])
    for s, event in events:
        assert whole.apply(event, s) == batched.apply(event, s)
        if data.draw(st.booleans()):
            read = {BUYER: batched.buyer_read, MERCHANT: batched.merchant_read}
            other = {BUYER: MERCHANT, MERCHANT: BUYER}
            kept = [each for each in batched.waiting if each.s > read[other[each.author]]]
            assert kept == batched.waiting, "what is read waits no more"
            batched = msgspec.structs.replace(batched, waiting=kept)
    assert whole.buyer_unread == recount(events, BUYER)
    assert whole.merchant_unread == recount(events, MERCHANT)


TestWrittenChat = WrittenChat.TestCase
TestWrittenChat.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
