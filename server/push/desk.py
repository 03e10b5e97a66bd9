"""Runs commands about push subscriptions against the log."""

import base64
import binascii

from cells.engine.handle import handle, load
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.kernel.ids import slot_in
from cells.log.port import Log, LogUnavailable
from server.notify import addresses
from server.notify.addresses import Forbidden
from server.push import decide
from server.push.encryption import AUTH_BYTES, is_point
from server.push.model import Account, Subscribe, Unsubscribe
from server.push.views import PushSubscription, SubscriptionView, view


class Subscriptions:
    """What an account can do with its subscriptions. All raise `Rejected`."""

    def __init__(self, log: Log, clock: Clock, *, allow_loopback: bool) -> None:
        self._log = log
        self._clock = clock
        self._allow_loopback = allow_loopback

    def read(self, subscription_id: str, new: PushSubscription) -> Subscribe:
        """Check what a browser made, and return the command for it."""
        try:
            addresses.parse(new.endpoint, allow_loopback=self._allow_loopback)
        except Forbidden as error:
            raise Rejected("bad_request", f"{error} - at `$.endpoint`") from None
        p256dh, auth = _raw(new.keys.p256dh), _raw(new.keys.auth)
        if not is_point(p256dh):
            raise Rejected("bad_request", "It has to be an uncompressed P-256 point - at `$.keys.p256dh`")
        if len(auth) != AUTH_BYTES:
            raise Rejected("bad_request", f"It has to be {AUTH_BYTES} bytes - at `$.keys.auth`")
        return Subscribe(subscription_id, new.endpoint, p256dh, auth)

    async def add(self, account_id: str, command: Subscribe) -> SubscriptionView:
        """Add a browser, or find that it is there."""
        slot = slot_in(account_id)
        found = await handle(self._log, decide.DECIDER, slot, account_id, command, self._clock)
        subscription = found.state.at(command.endpoint)
        if subscription is None:
            raise Rejected("conflict", "The subscription was deleted at the same time.")
        return view(subscription)

    async def all(self, account_id: str) -> list[SubscriptionView]:
        """Return an account's subscriptions, the oldest first."""
        return [view(each) for each in (await self._account(account_id)).subscriptions.values()]

    async def remove(self, account_id: str, subscription_id: str) -> None:
        """Forget a browser."""
        if subscription_id not in (await self._account(account_id)).subscriptions:
            raise Rejected("not_found", "There is no such subscription, or it is not yours.")
        command = Unsubscribe(subscription_id, "deleted")
        await handle(self._log, decide.DECIDER, slot_in(account_id), account_id, command, self._clock)

    async def remove_at(self, account_id: str, endpoint: str) -> None:
        """Forget the browser with this endpoint."""
        found = (await self._account(account_id)).at(endpoint)
        await self.remove(account_id, found.id if found is not None else "")

    async def _account(self, account_id: str) -> Account:
        try:
            return (await load(self._log, decide.DECIDER, slot_in(account_id), account_id)).state
        except LogUnavailable as error:
            raise Rejected("unavailable", str(error), retry_after_ms=1000) from error


def _raw(text: str) -> bytes:
    plain = text.rstrip("=").translate(str.maketrans("+/", "-_"))
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        raise Rejected("bad_request", "It has to be base64url - at `$.keys`") from None
