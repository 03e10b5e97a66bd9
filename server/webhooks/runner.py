"""Delivers to one endpoint: what the log tells its merchant, in parallel but within bounds, and again what failed.

An endpoint waits for itself alone. What it cannot take now stays in the log, behind its cursor; what failed is a
letter (`server.webhooks.letters`). While too much fails in a row, nothing but the oldest letter is tried.
"""

import asyncio

import msgspec
import structlog

from cells.engine.handle import handle, load
from cells.engine.project import StoreUnavailable
from cells.kernel.errors import Rejected
from cells.kernel.ids import slot_in
from cells.log.port import LogUnavailable
from cells.tasks import end
from server.notify import backoff
from server.notify.addresses import Forbidden
from server.notify.cursor import Cursor
from server.notify.egress import Reply, Unreachable
from server.notify.window import Window
from server.webhooks import decide, letters
from server.webhooks.delivering import Delivering
from server.webhooks.letters import Box, Failed, Letter, Revive, Taken
from server.webhooks.model import Endpoint, Pause, Remove
from server.webhooks.reading import Reading
from server.webhooks.told import Told

_log = structlog.get_logger(__name__)

LOOK_SECONDS = 30.0
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
GONE = 410


class _Outcome(msgspec.Struct, frozen=True):
    """How a try ended. `status` 0: no answer, because of `why`."""

    status: int
    why: str = ""
    retry_after_ms: int = 0

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class Runner:
    """One endpoint's deliveries. `endpoint` is replaced when it changes; `changed` is set then."""

    def __init__(self, shared: Delivering, merchant_id: str, endpoint: Endpoint, since: int) -> None:
        self.endpoint = endpoint
        self._shared = shared
        self.merchant_id = merchant_id
        self.slot = slot_in(merchant_id)
        self._since = since
        self._box = Box()
        self._changed = asyncio.Event()
        self._recording = asyncio.Lock()
        self._over = asyncio.Event()
        self.confident = asyncio.Event()

    def change(self, endpoint: Endpoint) -> None:
        """Take over what became of the endpoint."""
        self.endpoint = endpoint
        self._changed.set()

    async def run(self) -> None:
        """Deliver until cancelled, or until this found the endpoint to be gone or hopeless.

        What the log or the database refuses is tried again; nothing is skipped.
        """
        pause = RETRY_SECONDS
        while not self._over.is_set():
            started = asyncio.get_running_loop().time()
            try:
                await self._run()
            except (LogUnavailable, StoreUnavailable, Rejected) as error:
                _log.warning("webhook waits", endpoint=self.endpoint.id, reason=str(error))
            except Exception:  # noqa: BLE001 - a fault of one endpoint's deliveries must not end the others'; it is reported
                _log.exception("webhook is stuck", endpoint=self.endpoint.id)
            if self._over.is_set():
                return
            calm = asyncio.get_running_loop().time() - started > LONGEST_RETRY_SECONDS
            pause = RETRY_SECONDS if calm else min(LONGEST_RETRY_SECONDS, pause * 2)
            await asyncio.sleep(pause)

    async def _run(self) -> None:
        shared, endpoint = self._shared, self.endpoint
        self._take(await self._load())
        cursor = Cursor(shared.log, self.slot, endpoint.id, shared.clock, save_seconds=shared.save_seconds)
        place = await cursor.load(self._since)
        window = Window(place.position)
        reading = Reading(self, shared, cursor, window, frozenset(place.beyond))
        running: list[asyncio.Task[object]] = [
            asyncio.create_task(self._retry()),
            asyncio.create_task(reading.run()),
            asyncio.create_task(self._over.wait()),
        ]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(running)
            await cursor.save(window)

    async def _load(self) -> Box:
        return (await load(self._shared.log, letters.DECIDER, self.slot, self.endpoint.id)).state

    def _take(self, box: Box) -> None:
        self._box = box
        if box.doubtful:
            self.confident.clear()
        else:
            self.confident.set()
        self._changed.set()

    # --- new events ---------------------------------------------------------------------------------------------

    async def first(self, event: Told) -> None:
        """Try an event for the first time. Afterwards it is taken, or a letter."""
        if event.id in self._box.letters:
            return
        outcome = await self._send(event.id, event.type, event.body)
        if not outcome.taken or self._box.failures:
            await self._record(event.id, event.type, event.body, outcome, 1)

    # --- letters ------------------------------------------------------------------------------------------------

    async def _retry(self) -> None:
        while True:
            self._changed.clear()
            await self._revive()
            due = self._box.due(self._shared.clock.now())
            for letter in due:
                outcome = await self._send(letter.event_id, letter.type, letter.body)
                await self._record(letter.event_id, letter.type, letter.body, outcome, letter.tries + 1)
                if self._box.doubtful:
                    break
            if not due:
                await self._until_due()

    async def _revive(self) -> None:
        asked = tuple(
            letter.event_id
            for letter in self._box.letters.values()
            # In the same millisecond, whoever asked knew of the failure: only what is dead can be asked for.
            if letter.dead and self.endpoint.asked_at(letter.event_id) >= letter.tried_at
        )
        if asked:
            await self._apply(Revive(asked))

    async def _until_due(self) -> None:
        next_at = self._box.next_at()
        wait = LOOK_SECONDS if next_at is None else (next_at - self._shared.clock.now()) / 1000
        try:
            async with asyncio.timeout(max(0.0, min(wait, LOOK_SECONDS))):
                await self._changed.wait()
        except TimeoutError:
            pass

    # --- one try ------------------------------------------------------------------------------------------------

    async def _send(self, event_id: str, type_: str, body: bytes) -> _Outcome:
        shared = self._shared
        async with shared.slots:
            now = shared.clock.now()
            timestamp = now // 1000
            headers = {
                "Content-Type": "application/json",
                "Titan-Event-Id": event_id,
                "Titan-Event-Type": type_,
                "Titan-Webhook-Id": self.endpoint.id,
                "Titan-Timestamp": str(timestamp),
                "Titan-Signature": shared.secrets.sign(
                    self.endpoint.id, self.endpoint.generations(now), timestamp, body
                ),
            }
            try:
                reply = await shared.egress.post(self.endpoint.url, headers, body)
            except (Forbidden, Unreachable) as error:
                return _Outcome(0, str(error))
        return _outcome(reply)

    async def _record(self, event_id: str, type_: str, body: bytes, outcome: _Outcome, tries: int) -> None:
        if outcome.taken:
            await self._apply(Taken(event_id))
            return
        if outcome.status == GONE:
            await self._decide(Remove(self.endpoint.id, "gone"))
            return
        shared = self._shared
        delay = backoff.delay_ms(tries, shared.first_delay_ms, shared.longest_delay_ms, shared.chance())
        delay = max(delay, outcome.retry_after_ms)
        await self._apply(Failed(event_id, type_, body, outcome.status, outcome.why, delay))
        letter = self._box.letters.get(event_id)
        if letter is not None and letter.dead:
            await self._died(letter)

    async def _died(self, letter: Letter) -> None:
        _log.warning(
            "webhook delivery is dead", endpoint=self.endpoint.id, delivery=letter.event_id, why=letter.why
        )
        if self._box.hopeless:
            why = f"{self._box.failures} deliveries failed in a row"
            await self._decide(Pause(self.endpoint.id, why))

    async def _apply(self, command: letters.Command) -> None:
        async with self._recording:
            shared = self._shared
            handled = await handle(
                shared.log, letters.DECIDER, self.slot, self.endpoint.id, command, shared.clock
            )
            self._take(handled.state)

    async def _decide(self, command: Pause | Remove) -> None:
        """Change the endpoint itself, which ends this runner."""
        shared = self._shared
        await handle(shared.log, decide.DECIDER, self.slot, self.merchant_id, command, shared.clock)
        _log.warning(
            "webhook ended", endpoint=self.endpoint.id, how=type(command).__name__, why=command.reason
        )
        self._over.set()


def _outcome(reply: Reply) -> _Outcome:
    return _Outcome(reply.status, "", backoff.retry_after_ms(reply.headers.get("retry-after")))
