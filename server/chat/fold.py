"""What a batch of commits comes to in a conversation: its newest message, its cursors, and what is unread."""

from typing import Any

import msgspec

from server.chat.model import ConversationOpened, Delivered, MessageDeleted, MessagePosted, ReadUpTo

PREVIEW_CHARS = 140


class Unread(msgspec.Struct, frozen=True, array_like=True):
    """A message that one side has not read."""

    s: int
    author: str
    message_id: str


class Conversation(msgspec.Struct):
    """A conversation as lists want it. `active` is the position of its newest message, or of its opening.

    `waiting` has every message that a side has not read, in order; the two counts are made of it.
    """

    id: str
    buyer_id: str = ""
    buyer_name: str = ""
    merchant_id: str = ""
    subject: str = ""
    title: str = ""
    created_at: int = 0
    active: int = 0
    last_id: str = ""
    last_author: str = ""
    last_text: str = ""
    last_at: int = 0
    buyer_read: int = 0
    merchant_read: int = 0
    buyer_delivered: int = 0
    merchant_delivered: int = 0
    waiting: list[Unread] = []

    def unread(self, user: str) -> int:
        """Count the other side's messages behind a person's cursor."""
        read = self.buyer_read if user == self.buyer_id else self.merchant_read
        return sum(1 for each in self.waiting if each.author != user and each.s > read)

    def apply(self, event: Any, s: int) -> list[tuple[str, int]]:
        """Apply an event at `s` and return whose unread count is another one now, and what it is."""
        sides = (self.buyer_id, self.merchant_id)
        before = [self.unread(side) for side in sides]
        match event:
            case ConversationOpened():
                self._opened(event, s)
                return []
            case MessagePosted():
                self._posted(event, s)
            case MessageDeleted(message_id):
                self.waiting = [each for each in self.waiting if each.message_id != message_id]
                if message_id == self.last_id:
                    self.last_text = ""
            case Delivered(user, up_to):
                self._move(user, up_to, 0)
            case ReadUpTo(user, up_to):
                self._move(user, up_to, up_to)
            case _:
                return []
        after = [self.unread(side) for side in sides]
        return [(u, a) for u, b, a in zip(sides, before, after, strict=True) if a != b]

    def _opened(self, event: ConversationOpened, s: int) -> None:
        self.buyer_id, self.buyer_name = event.buyer_id, event.buyer_name
        self.merchant_id, self.subject, self.title = event.merchant_id, event.subject, event.title
        self.created_at, self.active = event.at, s

    def _posted(self, event: MessagePosted, s: int) -> None:
        self.waiting.append(Unread(s, event.author, event.message_id))
        self.active, self.last_id, self.last_author = s, event.message_id, event.author
        self.last_text, self.last_at = event.text[:PREVIEW_CHARS], event.at

    def _move(self, user: str, delivered: int, read: int) -> None:
        if user == self.buyer_id:
            self.buyer_delivered = max(self.buyer_delivered, delivered)
            self.buyer_read = max(self.buyer_read, read)
        else:
            self.merchant_delivered = max(self.merchant_delivered, delivered)
            self.merchant_read = max(self.merchant_read, read)
        if read:
            self.waiting = [each for each in self.waiting if self._is_unread(each)]

    def _is_unread(self, each: Unread) -> bool:
        read = self.merchant_read if each.author == self.buyer_id else self.buyer_read
        return each.s > read
