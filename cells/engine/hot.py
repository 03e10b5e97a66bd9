"""What a hot aggregate's rules look like to the writer that runs them."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from cells.kernel.codec import Registry

S = TypeVar("S")
C_contra = TypeVar("C_contra", contravariant=True)


class HotRules(Protocol[S, C_contra]):
    """Rules of an aggregate that one writer keeps in memory and evolves in place."""

    kind: str
    registry: Registry

    def initial(self, positions: Sequence[int]) -> S:
        """Return the state before the first commit. `positions[v - 1]` is where its commit v lies, once it is durable.

        The sequence grows under the state. While a command is decided it covers every commit before it.
        """

    def decide(self, state: S, command: C_contra, now: int) -> tuple[list[Any], Any]:
        """Return events and a reply that `answer` completes. Changes nothing."""

    def evolve(self, state: S, event: Any, version: int) -> None:
        """Apply one event of commit `version`."""

    def tick(self, state: S, now: int) -> list[Any]:
        """Return what the clock alone brings about, a bounded number of events at a time."""

    def due(self, state: S) -> int | None:
        """Return when `tick` has something to do next, in epoch milliseconds."""

    def taken_over(self, term: int, writer: str) -> msgspec.Struct:
        """Return the event that fences every earlier writer of the aggregate."""

    def idle(self, state: S) -> bool:
        """Tell whether nothing can change the state any more, so that it needs no owner and no memory."""

    def answer(self, state: S, reply: Any, version: int, positions: Sequence[int]) -> Any:
        """Complete a reply once its commit, the one numbered `version`, is durable."""

    def refuse(self, code: str, detail: str) -> Any:
        """Return the answer that says no with a code of `cells.kernel.errors`."""


class Changed(msgspec.Struct):
    """What one durable commit changed, for those who show it or pre-filter by it."""

    key: str
    state: Any
    version: int
    position: int
    events: list[Any]


class Watcher(Protocol):
    """Is told of every durable change, before the commands that led to it are answered. Must not block."""

    def loaded(self, change: Changed) -> None:
        """An aggregate was read from the log, or read anew."""

    def changed(self, change: Changed) -> None:
        """A commit became durable."""

    def unloaded(self, key: str) -> None:
        """An idle aggregate left the memory."""
