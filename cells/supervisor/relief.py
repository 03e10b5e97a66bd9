"""Make before break: where processes share a port, the next one serves before the last one is told to leave."""

import asyncio
from collections.abc import Callable
from typing import Final

from cells.supervisor.child import Child
from cells.supervisor.console import Console

RELIEVED: Final = frozenset({"hub"})
START_SECONDS: Final = 30.0
# A hub of 20,000 sockets sends them away over 80 s.
LEAVE_SECONDS: Final = 120.0


class Relief:
    """Replaces children of a cell by their successors. `make` answers a successor that has not begun."""

    def __init__(
        self,
        children: dict[str, Child],
        make: Callable[[str], Child],
        changed: asyncio.Event,
        console: Console,
    ) -> None:
        self._children = children
        self._make = make
        self._changed = changed
        self._console = console
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self.others: set[Child] = set()
        """Who is not yet, or no more, the child of its key."""

    def replace(self, key: str) -> None:
        """Begin to replace a child. While that is under way, further calls do nothing."""
        if key not in self._under_way:
            task = self._under_way[key] = asyncio.create_task(self._take_over(key), name=f"relief of {key}")
            task.add_done_callback(lambda _: self._under_way.pop(key))

    async def cancel(self) -> None:
        """Begin nothing more; whoever is left in `others` is to be stopped."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_over(self, key: str) -> None:
        last, successor = self._children[key], self._make(key)
        successor.restarts = last.restarts + 1
        self.others.add(successor)
        successor.begin()
        if await self._serves(successor):
            self._children[key] = successor
            self.others.symmetric_difference_update({successor, last})
            leaver, seconds = last, LEAVE_SECONDS
        else:
            self._console.warn(f"The next {key} did not start, so the last one stays: titan logs {key}")
            leaver, seconds = successor, 0.0
        await leaver.stop(asyncio.get_running_loop().time() + seconds)
        self.others.discard(leaver)

    async def _serves(self, successor: Child) -> bool:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not successor.ready and not successor.failures:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return successor.ready
