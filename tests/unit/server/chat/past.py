"""A channel after some events, each a commit of its own: commit v lies at position 10 v."""

from typing import Any

from server.chat.commands import Command, Moderate, PostMessage, Refusal
from server.chat.evolve import evolve
from server.chat.model import By as Moderator
from server.chat.model import Channel, ConversationOpened, Event, MessagePosted, Role
from server.chat.rules import ChatRules

T0 = 1_800_000_000_000
CNV, SAL = "cnv_1", "sal_1"
BUYER, MERCHANT, OTHER = "usr_b", "mer_m", "usr_o"
BY = Moderator(MERCHANT, "merchant", "why")
OPENED = ConversationOpened(CNV, BUYER, MERCHANT, "prd_1", "Sneaker", "Bea", T0)


def said(
    message_id: str, author: str = BUYER, text: str = "hi", key: bytes = b"", at: int = T0
) -> MessagePosted:
    role: Role = "merchant" if author == MERCHANT else "buyer"
    return MessagePosted(message_id, author, "Name", role, text, key or message_id.encode(), at)


def s(version: int, index: int = 0) -> int:
    return version * 10 * 1024 + index


class Past:
    def __init__(self, *events: Event, key: str = CNV) -> None:
        self.key = key
        self.positions: list[int] = []
        self.channel = Channel(self.positions)
        for event in events:
            self.commit([event])

    def commit(self, events: list[Any]) -> None:
        version = len(self.positions) + 1
        for event in events:
            evolve(self.channel, event, version)
        self.positions.append(version * 10)

    def when(self, command: Command, now: int = T0) -> "Decided":
        return Decided(self, *ChatRules("room").decide(self.channel, command, now))

    def post(
        self,
        text: str = "hello",
        author: str = BUYER,
        *,
        role: Role = "buyer",
        digest: bytes = b"k",
        now: int = T0,
        message_id: str = "msg_n",
    ) -> "Decided":
        return self.when(PostMessage(self.key, message_id, author, "Name", role, text, digest), now)

    def moderate(self, action: Any, target: str = "", by: Moderator = BY, **how: Any) -> "Decided":
        return self.when(Moderate(self.key, action, by, target, **how))


class Decided:
    def __init__(self, past: Past, events: list[Event], reply: Any) -> None:
        self._past, self.events, self.reply = past, events, reply

    def then(self, *events: Event) -> Any:
        """Expect these events, and return the answer as it is once they are durable."""
        assert self.events == list(events)
        if events:
            self._past.commit(self.events)
        past = self._past
        return ChatRules("room").answer(past.channel, self.reply, len(past.positions), past.positions)

    def refused(self, code: str) -> Refusal:
        assert self.events == []
        assert isinstance(self.reply, Refusal)
        assert self.reply.code == code
        return self.reply
