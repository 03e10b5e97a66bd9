"""Runs commands about webhooks against the log."""

import msgspec

from cells.engine.handle import handle, load
from cells.kernel.clock import Clock
from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id, slot_in
from cells.log.port import Log, LogUnavailable
from server.notify import addresses
from server.notify.addresses import Forbidden
from server.web import cursors
from server.webhooks import decide, letters
from server.webhooks.model import Add, Command, Endpoint, Merchant, Redeliver
from server.webhooks.signing import Secrets
from server.webhooks.views import (
    DeliveryPage,
    NewWebhook,
    WebhookView,
    WebhookWithSecret,
    delivery,
    view,
    with_secret,
)

LIST = "deliveries"


class Webhooks:
    """What a merchant can do with its webhooks. All raise `Rejected`."""

    def __init__(self, log: Log, clock: Clock, secrets: Secrets, *, allow_loopback: bool) -> None:
        self._log = log
        self._clock = clock
        self._secrets = secrets
        self._allow_loopback = allow_loopback

    def check(self, new: NewWebhook) -> None:
        """Refuse an address that nothing would ever be sent to. What its name resolves to is seen at each sending."""
        try:
            addresses.parse(new.url, allow_loopback=self._allow_loopback)
        except Forbidden as error:
            raise Rejected("bad_request", f"{error} - at `$.url`") from None

    async def add(self, merchant_id: str, endpoint_id: str, new: NewWebhook) -> WebhookView:
        """Add an endpoint."""
        types = tuple(dict.fromkeys(new.events))
        return await self.run(merchant_id, Add(endpoint_id, new.url, types, new.description))

    async def run(self, merchant_id: str, command: Command) -> WebhookView:
        """Decide a command about an endpoint that remains."""
        found = await handle(
            self._log, decide.DECIDER, slot_in(merchant_id), merchant_id, command, self._clock
        )
        return view(_one(found.state, command.endpoint_id))

    async def do(self, merchant_id: str, command: Command) -> None:
        """Decide a command."""
        await handle(self._log, decide.DECIDER, slot_in(merchant_id), merchant_id, command, self._clock)

    def reveal(self, shown: WebhookView) -> WebhookWithSecret:
        """Add the secret to what is shown."""
        return with_secret(shown, self._secrets.secret(shown.id, shown.generation))

    async def all(self, merchant_id: str) -> list[WebhookView]:
        """Return a merchant's webhooks, the oldest first."""
        return [view(endpoint) for endpoint in (await self._merchant(merchant_id)).endpoints.values()]

    async def one(self, merchant_id: str, endpoint_id: str) -> WebhookView:
        """Return a webhook."""
        return view(_one(await self._merchant(merchant_id), endpoint_id))

    async def deliveries(
        self, merchant_id: str, endpoint_id: str, limit: int, cursor: str | None
    ) -> DeliveryPage:
        """Return a page of what failed, the newest first."""
        _one(await self._merchant(merchant_id), endpoint_id)
        before = cursors.decode(LIST, cursor, int) if cursor else 1 << 53
        box = await self._box(endpoint_id)
        found = [letter for letter in reversed(box.letters.values()) if letter.number < before]
        shown = found[: max(1, min(limit, cursors.MAX_LIMIT))]
        following = cursors.encode(LIST, shown[-1].number) if len(found) > len(shown) else None
        return DeliveryPage([delivery(letter) for letter in shown], following)

    async def redeliver(self, merchant_id: str, endpoint_id: str, event_ids: tuple[str, ...]) -> None:
        """Have dead deliveries tried again."""
        _one(await self._merchant(merchant_id), endpoint_id)
        letters.find(await self._box(endpoint_id), event_ids)
        await self.do(merchant_id, Redeliver(endpoint_id, event_ids))

    async def _merchant(self, merchant_id: str) -> Merchant:
        try:
            return (await load(self._log, decide.DECIDER, slot_in(merchant_id), merchant_id)).state
        except LogUnavailable as error:
            raise Rejected("unavailable", str(error), retry_after_ms=1000) from error

    async def _box(self, endpoint_id: str) -> letters.Box:
        try:
            return (await load(self._log, letters.DECIDER, slot_in(endpoint_id), endpoint_id)).state
        except LogUnavailable as error:
            raise Rejected("unavailable", str(error), retry_after_ms=1000) from error


def _one(merchant: Merchant, endpoint_id: str) -> Endpoint:
    found = merchant.endpoints.get(endpoint_id) if is_id("whk", endpoint_id) else None
    if found is None:
        raise Rejected("not_found", "There is no such webhook, or it is not yours.")
    return found


def revealed(desk: Webhooks, body: bytes) -> bytes:
    """Add the secret to an answer that was kept without it, so that it lies in no log."""
    return msgspec.json.encode(desk.reveal(msgspec.json.decode(body, type=WebhookView)))
