"""Operators' keys at one hub: whose they are, asked again for as long as somebody is connected with one."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

from realtime.events import Holder
from realtime.once import Once
from realtime.source import LogSource, SourceUnavailable

_log = structlog.get_logger(__name__)

KEY_PREFIX: Final = "tk_"
MAX_KEY_CHARS: Final = 256
REMEMBERED_MS: Final = 5_000
# Full policy: the answer that was asked for longest ago is forgotten.
REMEMBERED: Final = 1_024
# With the 5 s that the api may rely on what it read, a key that ends is noticed within 10 s.
RECHECK_SECONDS: Final = 4.0
CHECKS_AT_ONCE: Final = 16


class Keys:
    """Answers whose keys are. `clock` answers ms that only go forward."""

    def __init__(self, source: LogSource, clock: Callable[[], int]) -> None:
        self._source = source
        self._clock = clock
        # By digest, so that a key is kept only for as long as somebody is connected with it.
        self._known: OrderedDict[bytes, tuple[int, Holder | None]] = OrderedDict()
        self._asking: Once[bytes, Holder | None] = Once()

    async def holder(self, key: str) -> Holder | None:
        """Answer whose a key is, as found less than 5 s ago or asked for now.

        Raises SourceUnavailable, within 2 s.
        """
        if len(key) > MAX_KEY_CHARS:
            return None
        until, known = self._known.get(_digest(key), (0, None))
        return known if until > self._clock() else await self.look(key)

    async def look(self, key: str) -> Holder | None:
        """Ask whose a key is, whatever was found before. Raises SourceUnavailable, within 2 s."""
        place, asked_at = _digest(key), self._clock()
        found = await self._asking.ask(place, lambda: self._source.holder(key))
        self._known[place] = (asked_at + REMEMBERED_MS, found)
        self._known.move_to_end(place)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def watch(
        self, used: Callable[[], list[str]], ended: Callable[[str], None], every: float = RECHECK_SECONDS
    ) -> None:
        """Ask for the keys that are `used` every so many seconds, for ever; `ended` hears of each that is nobody's.

        Where nobody answers nothing ends: unknown is not no.
        """
        turns = asyncio.Semaphore(CHECKS_AT_ONCE)

        async def check(key: str) -> None:
            try:
                async with turns:
                    found = await self.look(key)
            except SourceUnavailable as error:
                _log.warning("whether an operator's key is still good is not known", why=str(error))
                return
            if found is None:
                ended(key)

        while True:
            await asyncio.sleep(every)
            await asyncio.gather(*(check(key) for key in used()))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
