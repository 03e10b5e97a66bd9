"""One question under way for all who ask it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Once(Generic[K, T]):
    """Answers under way, by question. Belongs to one event loop."""

    def __init__(self) -> None:
        self._asking: dict[K, asyncio.Task[T]] = {}

    async def ask(self, question: K, ask: Callable[[], Awaitable[T]]) -> T:
        """Answer what `ask` answers or raises, asking only if nobody has asked yet."""
        asking = self._asking.get(question)
        if asking is None:
            asking = self._asking[question] = asyncio.create_task(_awaited(ask))
            asking.add_done_callback(lambda done: self._asked(question, done))
        # Shielded: one who stops waiting does not take the answer from the others.
        return await asyncio.shield(asking)

    def _asked(self, question: K, done: asyncio.Task[T]) -> None:
        self._asking.pop(question, None)
        if not done.cancelled():
            done.exception()  # seen by those who waited; nobody need be left to


async def _awaited(ask: Callable[[], Awaitable[T]]) -> T:
    return await ask()
