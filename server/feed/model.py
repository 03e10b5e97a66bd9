"""What happens to an account: the events of its `me` channel, which clients apply in order."""

from typing import Literal

import msgspec

from cells.kernel.money import Money
from server.flash_sale.model import State

ENTRIES_PER_COMMIT = 4096
"""A commit's position times this, plus the entry's place among the account's own of that commit, is its `s`."""


class HoldNews(msgspec.Struct, frozen=True, omit_defaults=True):
    """`hold`, to its buyer."""

    hold_id: str
    sale_id: str
    status: Literal["held", "confirmed", "released", "expired"]
    quantity: int
    expires_at: str | None = None
    order_id: str | None = None


class OrderNews(msgspec.Struct, frozen=True):
    """`order`, to its buyer and its merchant."""

    order_id: str
    hold_id: str
    sale_id: str
    title: str
    quantity: int
    price: Money
    total: Money


class PaymentNews(msgspec.Struct, frozen=True):
    """`payment`, to its buyer. `reason` says why it was declined or voided."""

    hold_id: str
    status: Literal["captured", "declined", "voided"]
    reason: str


class SaleNews(msgspec.Struct, frozen=True):
    """`sale`, to its merchant: it went into another state."""

    sale_id: str
    state: State
    reason: str


class UnreadNews(msgspec.Struct, frozen=True):
    """`unread`: how many messages of a conversation the account has not read."""

    conversation_id: str
    unread: int


News = HoldNews | OrderNews | PaymentNews | SaleNews | UnreadNews

TYPES: dict[type[msgspec.Struct], str] = {
    HoldNews: "hold",
    OrderNews: "order",
    PaymentNews: "payment",
    SaleNews: "sale",
    UnreadNews: "unread",
}


class Entry(msgspec.Struct, frozen=True):
    """One piece of news of the commit at `position`."""

    position: int
    account: str
    news: News
