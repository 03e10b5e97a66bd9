"""The writer's side of the gate: shows it every durable change, and builds it anew whenever it is not as expected.

Per sale at most one call is in flight; what changes meanwhile is merged into the next. A gate that was emptied,
restored from an old copy, restarted or changed by another hand is found by its epoch and version, at the next
change or within a quarter of a second, and rebuilt from the fold.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Iterable
from typing import TypeVar

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from cells.engine.hot import Changed
from server.flash_sale.decide import idle
from server.flash_sale.gate import Script, sale_key
from server.flash_sale.model import HoldExpired, HoldReleased, Sale, SaleMoved, UnitsHeld

_log = structlog.get_logger(__name__)

CHECK_SECONDS = 0.25
PACE_SECONDS = 0.005
"""Between two rounds: what changes meanwhile is shown together. A gate that lags lets more pass."""
CHUNK = 2_000
DRAFT_SECONDS = 60
"""How long a build that was not finished lies around."""
T = TypeVar("T")
_Field = tuple[str | bytes, str | int]
_FAILURES = (RedisError, OSError, TimeoutError)


class _Shown(msgspec.Struct):
    """What the gate has, and what it lacks. `version` 0: nothing is known of it, so it must be built."""

    sale: Sale
    newest: int
    version: int = 0
    head: tuple[int, int, int] = (0, 0, 0)
    buyers: dict[str, int] = msgspec.field(default_factory=dict)
    keys: list[bytes] = msgspec.field(default_factory=list)


class Gatekeeper:
    """Keeps the gate of one writer's sales. `epoch` is the writer's term: an earlier writer's gate is not this one."""

    def __init__(self, client: Redis, cell: str, term: int) -> None:
        self._client = client
        self._show = Script(client, "show.lua")
        self._cell = cell
        self._epoch = str(term)
        self._sales: dict[str, _Shown] = {}
        self._dirty: dict[str, None] = {}
        self._work = asyncio.Event()

    # --- told by the writer, must not block --------------------------------------------------------------------

    def loaded(self, change: Changed) -> None:
        """Take a sale on; the gate is built from its fold."""
        if not idle(change.state):
            self._sales[change.key] = _Shown(change.state, change.version)
            self._touch(change.key)

    def changed(self, change: Changed) -> None:
        """Note what a commit changed."""
        shown = self._sales.get(change.key)
        if shown is None:
            self.loaded(change)
            return
        shown.newest = change.version
        shown.head = _state(shown.sale)
        _collect(shown, change.events)
        self._touch(change.key)

    def unloaded(self, key: str) -> None:
        """Forget a sale; its gate is removed, for nobody keeps it true any more."""
        self._sales.pop(key, None)
        self._touch(key)

    def _touch(self, key: str) -> None:
        self._dirty[key] = None
        self._work.set()

    # --- the work ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Show and check until cancelled. A gate that cannot be reached is tried again every 250 ms."""
        loop = asyncio.get_running_loop()
        next_check = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._work.wait()
            self._work.clear()
            try:
                await self._show_all()
                if loop.time() >= next_check:
                    next_check = loop.time() + CHECK_SECONDS
                    await self._find_strangers()
                await asyncio.sleep(PACE_SECONDS)
            except _FAILURES as error:
                _log.warning("gate cannot be kept", error=repr(error))
                for key, shown in self._sales.items():
                    shown.version = 0
                    self._dirty[key] = None
                await asyncio.sleep(CHECK_SECONDS)

    async def _show_all(self) -> None:
        keys, self._dirty = list(self._dirty), {}
        for key in keys:
            shown = self._sales.get(key)
            if shown is None:
                await self._client.delete(sale_key(self._cell, key))
            elif shown.version == 0 or not await self._update(key, shown):
                await self._build(key, shown)
                self._touch(key)

    async def _update(self, key: str, shown: _Shown) -> bool:
        if shown.version == shown.newest:
            return True
        newest, buyers, keys = shown.newest, shown.buyers, shown.keys
        shown.buyers, shown.keys = {}, []
        args: list[str | bytes | int] = [self._epoch, shown.version, newest, *shown.head, len(buyers)]
        for buyer, units in buyers.items():
            args += (buyer, units)
        args += keys
        shown.version = newest if await self._show([sale_key(self._cell, key)], args) == 1 else 0
        return shown.version != 0

    async def _build(self, key: str, shown: _Shown) -> None:
        """Write the whole fold beside the sale's hash, and put it in its place at once.

        Under a name of this build alone: whatever another hand restores meanwhile is replaced as a whole.
        """
        place = sale_key(self._cell, key)
        draft = f"{place}:{secrets.token_hex(8)}"
        sale, newest = shown.sale, shown.newest
        shown.buyers, shown.keys = {}, []
        opened, available, limit = _state(sale)
        head: list[_Field] = [("version", newest), ("epoch", self._epoch)]
        head += [("open", opened), ("available", available), ("limit", limit)]
        taken: list[_Field] = [(f"b{buyer}", units) for buyer, units in sale.taken.items()]
        known: list[_Field] = [(b"k" + digest, "") for digest in sale.keys]
        await self._client.hset(draft, items=_flat(head))
        await self._client.expire(draft, DRAFT_SECONDS)
        for part in _chunks(taken + known):
            await self._client.hset(draft, items=_flat(part))
        async with self._client.pipeline(transaction=True) as both:
            both.persist(draft)
            both.rename(draft, place)
            await both.execute()
        shown.version = newest
        _log.info("gate built", sale=key, buyers=len(taken), holds=len(known))

    async def _find_strangers(self) -> None:
        """Find gates that are not as this writer left them."""
        watched = [(key, shown) for key, shown in self._sales.items() if shown.version]
        pipeline = self._client.pipeline(transaction=False)
        for key, _ in watched:
            pipeline.hmget(sale_key(self._cell, key), "epoch", "version")
        for (key, shown), (epoch, version) in zip(watched, await pipeline.execute(), strict=True):
            if epoch != self._epoch.encode() or version != str(shown.version).encode():
                shown.version = 0
                self._touch(key)


def _state(sale: Sale) -> tuple[int, int, int]:
    return int(sale.state == "open"), sale.available, sale.per_buyer_limit


def _collect(shown: _Shown, events: Iterable[object]) -> None:
    taken = shown.sale.taken
    for event in events:
        match event:
            case UnitsHeld():
                shown.buyers[event.buyer_id] = taken.get(event.buyer_id, 0)
                shown.keys.append(event.key)
            case HoldReleased() | HoldExpired():
                buyer = shown.sale.holds[event.hold_id].buyer_id
                shown.buyers[buyer] = taken.get(buyer, 0)
            case SaleMoved(state="killed"):
                shown.version = 0
            case _:
                pass


def _flat(fields: list[_Field]) -> list[str | bytes | int]:
    return [each for field in fields for each in field]


def _chunks(items: list[T]) -> Iterable[list[T]]:
    return (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))
