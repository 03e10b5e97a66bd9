"""Every subscription of the cell, as of the last look into the log."""

import asyncio

from cells.engine.handle import handle
from cells.kernel import envelope
from cells.kernel.clock import Clock
from cells.kernel.ids import slot_in
from cells.log import subjects
from cells.log.port import Log
from server.push import decide
from server.push.model import KIND, REGISTRY, Account, Subscribed, Subscription, Unsubscribe, Unsubscribed


class Subscribers:
    """Knows who is to be pushed where. A browser belongs to the account that subscribed it last."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._position = 0
        self._accounts: dict[str, Account] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        self._moved: list[tuple[str, str]] = []
        self._reading = asyncio.Lock()

    def __len__(self) -> int:
        """How many accounts have one."""
        return len(self._accounts)

    def of(self, account: str) -> list[Subscription]:
        """Return an account's subscriptions."""
        return list(self._accounts.get(account, Account()).subscriptions.values())

    async def refresh(self) -> None:
        """Read what is new: all that was in the log at this call is known then. Raises `LogUnavailable`."""
        async with self._reading:
            async for batch in self._log.read(subjects.of_kind(KIND), self._position):
                for stored in batch:
                    _, _, account = subjects.split(stored.subject)
                    for event in envelope.decode(REGISTRY, stored.body).events:
                        self._take(account, event)
                    self._position = stored.position
        moved, self._moved = self._moved, []
        for account, subscription_id in moved:
            if subscription_id in self._accounts.get(account, Account()).subscriptions:
                await self.drop(account, subscription_id, "moved")

    async def drop(self, account: str, subscription_id: str, reason: str) -> None:
        """Forget a subscription, in the log. Raises `Rejected`."""
        command = Unsubscribe(subscription_id, reason)
        await handle(self._log, decide.DECIDER, slot_in(account), account, command, self._clock)

    def _take(self, account: str, event: Subscribed | Unsubscribed) -> None:
        state = decide.evolve(self._accounts.get(account, Account()), event)
        if state.subscriptions:
            self._accounts[account] = state
        else:
            self._accounts.pop(account, None)
        if isinstance(event, Subscribed):
            before = self._owners.get(event.endpoint)
            if before is not None and before[0] != account:
                self._moved.append(before)
            self._owners[event.endpoint] = (account, event.subscription_id)
        else:
            gone = [e for e, owner in self._owners.items() if owner == (account, event.subscription_id)]
            for endpoint in gone:
                del self._owners[endpoint]
