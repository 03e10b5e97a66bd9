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

    `waiting` has every message that a side has not read, in order, if a cursor moves or a message is deleted;
    otherwise it may lack those of before, because a new message only adds to a count.
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
    buyer_unread: int = 0
    merchant_unread: int = 0
    waiting: list[Unread] = []

    def apply(self, event: Any, s: int) -> tuple[str, int] | None:
        """Apply an event at `s`; return whose unread count is another one now, and what it is."""
        match event:
            case ConversationOpened():
                self._opened(event, s)
            case MessagePosted():
                self._posted(event, s)
                return self._count(self._other(event.author), 1)
            case MessageDeleted(message_id):
                return self._deleted(message_id)
            case Delivered(user, up_to):
                self._move(user, up_to, 0)
            case ReadUpTo(user, up_to):
                self._move(user, up_to, up_to)
                return self._recount(user)
            case _:
                pass
        return None

    def _other(self, user: str) -> str:
        return self.merchant_id if user == self.buyer_id else self.buyer_id

    def _opened(self, event: ConversationOpened, s: int) -> None:
        self.buyer_id, self.buyer_name = event.buyer_id, event.buyer_name
        self.merchant_id, self.subject, self.title = event.merchant_id, event.subject, event.title
        self.created_at, self.active = event.at, s

    def _posted(self, event: MessagePosted, s: int) -> None:
        self.waiting.append(Unread(s, event.author, event.message_id))
        self.active, self.last_id, self.last_author = s, event.message_id, event.author
        self.last_text, self.last_at = event.text[:PREVIEW_CHARS], event.at

    def _deleted(self, message_id: str) -> tuple[str, int] | None:
        if message_id == self.last_id:
            self.last_text = ""
        for index, each in enumerate(self.waiting):
            if each.message_id == message_id:
                del self.waiting[index]
                return self._count(self._other(each.author), -1)
        return None

    def _move(self, user: str, delivered: int, read: int) -> None:
        if user == self.buyer_id:
            self.buyer_delivered = max(self.buyer_delivered, delivered)
            self.buyer_read = max(self.buyer_read, read)
        else:
            self.merchant_delivered = max(self.merchant_delivered, delivered)
            self.merchant_read = max(self.merchant_read, read)

    def _recount(self, user: str) -> tuple[str, int] | None:
        read = self.buyer_read if user == self.buyer_id else self.merchant_read
        before = len(self.waiting)
        self.waiting = [each for each in self.waiting if each.author == user or each.s > read]
        return self._count(user, len(self.waiting) - before)

    def _count(self, user: str, change: int) -> tuple[str, int] | None:
        if user == self.buyer_id:
            self.buyer_unread += change
            return (user, self.buyer_unread) if change else None
        self.merchant_unread += change
        return (user, self.merchant_unread) if change else None
