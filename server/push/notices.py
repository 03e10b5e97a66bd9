"""What a person is pushed, as the page's service worker gets it."""

import base64
import hashlib
from typing import Literal

import msgspec

from cells.kernel.money import Money

PREVIEW_CHARS = 140
DAY_SECONDS = 24 * 3600

Urgency = Literal["normal", "high"]


class MessageNotice(msgspec.Struct, frozen=True, tag="message", tag_field="type"):
    """A message in a conversation; `count` of them if more came before the first was seen."""

    conversation_id: str
    message_id: str
    author: str
    text: str
    count: int
    title: str


class OrderNotice(msgspec.Struct, frozen=True, tag="order", tag_field="type"):
    """An order is placed and paid."""

    order_id: str
    hold_id: str
    sale_id: str
    total: Money


class PaymentNotice(msgspec.Struct, frozen=True, tag="payment", tag_field="type"):
    """A payment did not lead to an order."""

    hold_id: str
    sale_id: str
    status: Literal["declined", "voided"]
    reason: str
    amount: Money


Notice = MessageNotice | OrderNotice | PaymentNotice

_encode = msgspec.json.Encoder().encode


def payload(notice: Notice) -> bytes:
    """Return the text that is encrypted."""
    return _encode(notice)


def topic(notice: Notice) -> str:
    """Return the name under which a push service keeps the newest notice only (RFC 8030, 32 characters)."""
    about = (
        f"message:{notice.conversation_id}" if isinstance(notice, MessageNotice) else f"hold:{notice.hold_id}"
    )
    return base64.urlsafe_b64encode(hashlib.sha256(about.encode()).digest())[:32].decode()


def urgency(notice: Notice) -> Urgency:
    """Return whether a device that saves power is to be woken."""
    return "high" if isinstance(notice, MessageNotice) else "normal"
