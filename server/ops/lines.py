"""One event in short words, for people who watch the log go by. PURE. Nothing that `redaction` hides is said."""

from collections.abc import Callable
from typing import Any, Final

from cells.engine.leadership import WriterElected
from cells.kernel.money import Money, shown
from cells.log.port import Stored
from server.accounts import model as accounts
from server.accounts import operators
from server.catalogue import model as catalogue
from server.chat import model as chat
from server.chat.text import clean
from server.flash_sale import model as sales
from server.notify.cursor import CursorMoved
from server.ops import words
from server.ops.reading import Entry, Opened, Registries, opened
from server.ops.redaction import host_of
from server.payments import model as payments
from server.payments import rules as bank
from server.push import model as push
from server.web import idempotency
from server.webhooks import letters
from server.webhooks import model as webhooks

MAX_TEXT: Final = 160
MAX_KEY: Final = 80
_QUOTED: Final = 80
_LISTED: Final = 5
# Hidden characters are looked for in this much of a text; what is shown of it is shorter still.
_RAW: Final = 1_000

Said = tuple[str, str]
"""Who did it, and what happened."""


def lines_of(registries: Registries, stored: Stored) -> list[words.Line]:
    """Return a line for each event of a commit; one line for bytes that are no commit. Never fails."""
    return described(opened(registries, stored))


def described(commit: Opened) -> list[words.Line]:
    """Return a line for each event of a commit that was opened."""
    if not commit.version:
        return [_line(commit, 0, "", "", "bytes that are no commit")]
    return [_entry(commit, index, entry) for index, entry in enumerate(commit.entries)]


def _entry(commit: Opened, index: int, entry: Entry) -> words.Line:
    if entry.event is None:
        text = f"{quoted(entry.name)} version {entry.version}, which this release does not know"
        return _line(commit, index, entry.name, "", text)
    by, text = say(commit.kind, entry.name, entry.event)
    return _line(commit, index, entry.name, by, text)


def _line(commit: Opened, index: int, name: str, by: str, text: str) -> words.Line:
    return words.Line(
        commit.position,
        index,
        commit.at,
        commit.slot,
        inert(commit.kind)[:MAX_KEY],
        inert(commit.key)[:MAX_KEY],
        inert(name)[:MAX_KEY],
        commit.version,
        inert(by)[:MAX_KEY],
        shortened(inert(text), MAX_TEXT),
    )


def say(kind: str, name: str, event: Any) -> Said:
    """Return who did it and what happened; the name of the event where there are no words for it."""
    if kind == chat.CONVERSATION and isinstance(event, chat.MessagePosted):
        return event.author, f"wrote {len(event.text)} characters"
    words_for = _SAY.get(type(event))
    return words_for(event) if words_for is not None else ("", name)


# --- words ---------------------------------------------------------------------------------------------------------


def inert(text: str) -> str:
    """Return a text in one line, without anything that a terminal obeys or that turns around what is beside it."""
    return " ".join((clean(text[:_RAW]) or "").split())


def shortened(text: str, length: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def quoted(text: str) -> str:
    """Return what somebody wrote, inert and short, in quotation marks."""
    return f"“{shortened(inert(text), _QUOTED)}”"


def money(amount: Money) -> str:
    """Return an amount in major units."""
    return shown(amount.amount, amount.currency)


def units(numbers: tuple[int, ...]) -> str:
    """Return how many units, and which."""
    if len(numbers) == 1:
        return f"unit {numbers[0]}"
    if numbers and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{len(numbers)} units ({numbers[0]}-{numbers[-1]})"
    more = ", …" if len(numbers) > _LISTED else ""
    return f"{len(numbers)} units ({', '.join(map(str, numbers[:_LISTED]))}{more})"


def because(reason: str) -> str:
    """Return a reason behind what happened."""
    return f": {quoted(reason)}" if reason else ""


def _who(account: str, name: str) -> str:
    return name or account


# --- events --------------------------------------------------------------------------------------------------------


def _drafted(e: sales.SaleDrafted) -> Said:
    return e.merchant_id, f"drafted {quoted(e.title)}, {e.stock} units at {money(e.price)}"


def _throttled(e: sales.SaleThrottled) -> Said:
    limit = "lifted the throttle" if e.per_second is None else f"throttled to {e.per_second} holds/s"
    return _who(e.by, e.by_name), limit + because(e.reason)


def _registered(e: accounts.AccountRegistered) -> Said:
    return e.user_id, f"registered as {e.role} {quoted(e.display_name)}"


def _changed(e: catalogue.ProductChanged) -> Said:
    names = [n for n in e.__struct_fields__ if n != "at" and getattr(e, n) is not None]
    return "", f"changed {', '.join(names) or 'nothing'}"


def _muted(e: chat.MemberMuted) -> Said:
    seconds = max(0, e.until - e.at) // 1000
    what = f"muted {e.user} for {seconds} s" if e.until else f"unmuted {e.user}"
    return e.by.id, what + because(e.by.reason)


def _slowed(e: chat.SlowModeSet) -> Said:
    what = f"slow mode, {e.seconds} s" if e.seconds else "slow mode off"
    return e.by.id, what + because(e.by.reason)


def _opened(e: chat.ConversationOpened) -> Said:
    return e.buyer_id, f"began to talk with {e.merchant_id} about {quoted(e.title)}"


def _redelivery(e: webhooks.RedeliveryAsked) -> Said:
    what = f"{len(e.event_ids)} dead deliveries" if e.event_ids else "all dead deliveries"
    return "", f"asked for {what} of {e.endpoint_id} again"


def _takes_over(e: sales.WriterChanged | chat.WriterChanged) -> Said:
    return e.writer, f"took it over in term {e.term}"


_SAY: Final[dict[type[Any], Callable[[Any], Said]]] = {
    WriterElected: lambda e: (e.writer, f"leads the writers, term {e.term}"),
    # sales
    sales.SaleDrafted: _drafted,
    sales.SaleMoved: lambda e: (_who(e.by, e.by_name), f"sale is {e.state}{because(e.reason)}"),
    sales.SaleThrottled: _throttled,
    sales.WriterChanged: _takes_over,
    sales.UnitsHeld: lambda e: (e.buyer_id, f"holds {units(e.units)} as {e.hold_id}"),
    sales.HoldConfirmed: lambda e: ("", f"{e.hold_id} became order {e.order_id}"),
    sales.HoldReleased: lambda e: ("", f"{e.hold_id} given back"),
    sales.HoldExpired: lambda e: ("", f"{e.hold_id} ran out"),
    # payments
    payments.PaymentStarted: lambda e: (
        e.buyer_id,
        f"pays {money(e.amount)}, try {e.attempt} by {quoted(e.method)}",
    ),
    payments.PaymentKeyUsed: lambda e: ("", f"asked to pay again by {quoted(e.method)}"),
    payments.PaymentAuthorised: lambda e: ("", f"payment authorised, try {e.attempt}"),
    payments.PaymentDeclined: lambda e: ("", f"payment declined, try {e.attempt}{because(e.reason)}"),
    payments.PaymentCaptured: lambda e: ("", f"payment captured, try {e.attempt}"),
    payments.PaymentVoided: lambda e: ("", f"payment voided, try {e.attempt}: {e.reason}"),
    payments.CheckoutSettled: lambda e: ("", f"checkout settled, order {e.order_id}"),
    bank.Authorised: lambda e: ("", f"bank keeps {money(e.amount)} by {quoted(e.method)}"),
    bank.Declined: lambda e: ("", f"bank declined{because(e.reason)}"),
    bank.Captured: lambda _: ("", "bank took what it kept"),
    bank.Voided: lambda _: ("", "bank gave back what it kept"),
    # catalogue
    catalogue.ProductCreated: lambda e: (
        e.merchant_id,
        f"offers {quoted(e.title)} at {money(e.price)}, {e.stock} in stock",
    ),
    catalogue.ProductChanged: _changed,
    # accounts
    accounts.AccountRegistered: _registered,
    accounts.PasswordRehashed: lambda _: ("", "password hashed anew"),
    accounts.SessionStarted: lambda _: ("", "signed in"),
    accounts.SessionRefreshed: lambda _: ("", "session refreshed"),
    accounts.SessionRevoked: lambda e: ("", f"session ended: {e.reason}"),
    operators.OperatorCreated: lambda e: (e.operator_id, f"key made for {e.role} {quoted(e.name)}"),
    operators.OperatorRevoked: lambda e: (_who(e.by, e.by_name), "key revoked"),
    # chat
    chat.ConversationOpened: _opened,
    chat.MessagePosted: lambda e: (e.author, f"{quoted(e.author_name)} wrote {quoted(e.text)}"),
    chat.MessageDeleted: lambda e: (e.by.id, f"deleted {e.message_id}{because(e.by.reason)}"),
    chat.MemberMuted: _muted,
    chat.MemberBanned: lambda e: (e.by.id, f"banned {e.user}{because(e.by.reason)}"),
    chat.MemberUnbanned: lambda e: (e.by.id, f"lifted the ban of {e.user}{because(e.by.reason)}"),
    chat.SlowModeSet: _slowed,
    chat.RoomLocked: lambda e: (e.by.id, f"locked the room{because(e.by.reason)}"),
    chat.RoomUnlocked: lambda e: (e.by.id, f"unlocked the room{because(e.by.reason)}"),
    chat.WordsBlocked: lambda e: (e.by.id, f"blocks {len(e.words)} words{because(e.by.reason)}"),
    chat.Delivered: lambda e: (e.user, f"got all up to {e.s}"),
    chat.ReadUpTo: lambda e: (e.user, f"read all up to {e.s}"),
    chat.WriterChanged: _takes_over,
    # idempotency
    idempotency.Claimed: lambda e: ("", f"Idempotency-Key taken for {e.resource_id}"),
    idempotency.Released: lambda _: ("", "Idempotency-Key given back"),
    idempotency.Answered: lambda e: ("", f"Idempotency-Key answered with {e.status}"),
    # deliveries
    webhooks.EndpointAdded: lambda e: (
        "",
        f"webhook {e.endpoint_id} to {host_of(e.url)}, {len(e.types)} types",
    ),
    webhooks.SecretRotated: lambda e: ("", f"webhook {e.endpoint_id} signs with secret {e.generation}"),
    webhooks.EndpointPaused: lambda e: ("", f"webhook {e.endpoint_id} paused{because(e.reason)}"),
    webhooks.EndpointResumed: lambda e: ("", f"webhook {e.endpoint_id} resumed"),
    webhooks.EndpointRemoved: lambda e: ("", f"webhook {e.endpoint_id} removed{because(e.reason)}"),
    webhooks.RedeliveryAsked: _redelivery,
    letters.Deferred: lambda e: ("", f"{e.type} {e.event_id} not taken ({e.status}){because(e.why)}"),
    letters.TryFailed: lambda e: ("", f"{e.event_id} not taken again ({e.status}){because(e.why)}"),
    letters.LetterDead: lambda e: ("", f"{e.event_id} given up ({e.status}){because(e.why)}"),
    letters.LetterTaken: lambda e: ("", f"{e.event_id} taken after all"),
    letters.LetterRevived: lambda e: ("", f"{e.event_id} is tried again"),
    letters.EndpointAnswered: lambda _: ("", "the endpoint answers again"),
    push.Subscribed: lambda e: ("", f"browser {e.subscription_id} wants to be told"),
    push.Unsubscribed: lambda e: ("", f"browser {e.subscription_id} forgotten: {e.reason}"),
    CursorMoved: lambda e: ("", f"worked off all up to {e.position}"),
}
