"""The rules of an account's subscriptions."""

from typing import assert_never

from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected
from server.push.model import (
    KIND,
    MAX_SUBSCRIPTIONS,
    REGISTRY,
    Account,
    Command,
    Event,
    Subscribe,
    Subscribed,
    Subscription,
    Unsubscribe,
    Unsubscribed,
)


def decide(state: Account, command: Command, now: int) -> list[Event]:
    """Decide a command."""
    match command:
        case Subscribe():
            return _subscribe(state, command, now)
        case Unsubscribe(subscription_id, reason):
            known = subscription_id in state.subscriptions
            return [Unsubscribed(subscription_id, reason, now)] if known else []
        case _:
            assert_never(command)


def _subscribe(state: Account, command: Subscribe, now: int) -> list[Event]:
    added = Subscribed(command.subscription_id, command.endpoint, command.p256dh, command.auth, now)
    before = state.at(command.endpoint)
    if before is None:
        if len(state.subscriptions) >= MAX_SUBSCRIPTIONS:
            detail = f"An account has at most {MAX_SUBSCRIPTIONS} push subscriptions; delete one first."
            raise Rejected("limit_reached", detail)
        return [added]
    if (before.p256dh, before.auth) == (command.p256dh, command.auth):
        return []
    return [Unsubscribed(before.id, "deleted", now), added]


def evolve(state: Account, event: Event) -> Account:
    """Fold one event."""
    match event:
        case Subscribed(subscription_id, endpoint, p256dh, auth, at):
            added = Subscription(subscription_id, endpoint, p256dh, auth, at)
            return Account({**state.subscriptions, subscription_id: added})
        case Unsubscribed(subscription_id):
            return Account({k: v for k, v in state.subscriptions.items() if k != subscription_id})
        case _:
            assert_never(event)


DECIDER: Decider[Account, Command] = Decider(KIND, Account, decide, evolve, REGISTRY)
