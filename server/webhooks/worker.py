"""Follows the endpoints of the cell, and runs one delivery for each that is not paused."""

import asyncio

from cells.kernel import envelope
from cells.log import subjects
from cells.log.port import Log, Stored
from cells.tasks import end
from server.webhooks import decide
from server.webhooks.delivering import Delivering
from server.webhooks.model import KIND, REGISTRY, EndpointAdded, EndpointPaused, Endpoints, Merchant
from server.webhooks.runner import Runner


class Worker:
    """Any number of these may run: deliveries are then made several times, with the same ids."""

    def __init__(self, log: Log, shared: Delivering) -> None:
        self._cell_log = log
        self._shared = shared
        self._merchants: dict[str, Merchant] = {}
        self._since: dict[str, int] = {}
        self._paused: set[str] = set()
        self._running: dict[str, tuple[Runner, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Follow until cancelled. Raises `Broken` or `UnknownEvent` on a log that cannot be read."""
        try:
            async for batch in self._cell_log.tail(subjects.of_kind(KIND), 0):
                touched = dict.fromkeys(self._fold(stored) for stored in batch)
                for merchant_id in touched:
                    await self._adjust(merchant_id)
        finally:
            await end([task for _, task in self._running.values()])
            self._running.clear()

    def _fold(self, stored: Stored) -> str:
        _, _, merchant_id = subjects.split(stored.subject)
        state = self._merchants.get(merchant_id, Merchant())
        for event in envelope.decode(REGISTRY, stored.body).events:
            state = decide.evolve(state, event)
            if isinstance(event, EndpointAdded):
                self._since[event.endpoint_id] = stored.position
            elif isinstance(event, EndpointPaused):
                self._paused.add(event.endpoint_id)
        self._merchants[merchant_id] = state
        return merchant_id

    async def _adjust(self, merchant_id: str) -> None:
        """Start, change and end runners, so that they are what the merchant's endpoints are."""
        endpoints: Endpoints = self._merchants[merchant_id].endpoints
        for endpoint_id, (runner, task) in list(self._running.items()):
            if runner.merchant_id != merchant_id:
                continue
            endpoint = endpoints.get(endpoint_id)
            # One that was paused ends even if it was resumed at once: it may be about to end by itself.
            if endpoint is None or endpoint_id in self._paused:
                await end([task])
                del self._running[endpoint_id]
            else:
                runner.change(endpoint)
        self._paused -= endpoints.keys()
        for endpoint in endpoints.values():
            if not endpoint.paused and endpoint.id not in self._running:
                runner = Runner(self._shared, merchant_id, endpoint, self._since[endpoint.id])
                self._running[endpoint.id] = (runner, asyncio.create_task(runner.run()))
