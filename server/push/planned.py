"""Pushes that may come to be, and the sources of them."""

from collections.abc import Hashable
from typing import Any, Protocol

import msgspec

from cells.engine.project import Recorded
from cells.kernel.codec import Registry
from server.push.notices import Notice


class Planned(msgspec.Struct):
    """A push that is sent at `due` unless something comes before. `positions` are the commits that led to it.

    `what` is for its source to decide by. `left` has the subscriptions that a failed try left, None before one.
    """

    key: Hashable
    account: str
    at: int
    due: int
    positions: list[int]
    what: Any
    tries: int = 0
    left: frozenset[str] | None = None


class Plans(Protocol):
    """What a source changes: plans that have not come due yet."""

    def find(self, key: Hashable) -> Planned | None:
        """Return the plan under a key."""

    def add(self, planned: Planned) -> None:
        """Add a plan under a key that has none."""

    def join(self, planned: Planned, position: int) -> None:
        """Let another commit of this very reading stand behind a plan as well."""

    def cancel(self, planned: Planned) -> None:
        """Drop a plan."""


class Source(Protocol):
    """One kind of aggregates that leads to pushes."""

    @property
    def kind(self) -> str:
        """The kind of aggregates."""

    @property
    def registry(self) -> Registry:
        """Their events."""

    async def take(self, commit: Recorded, plans: Plans, wanted: "Wanted") -> None:
        """Plan and cancel what a commit leads to. Raises `LogUnavailable`."""

    async def decide(self, planned: Planned) -> Notice | None:
        """Decide as of the end of the log whether and what to push. Raises `LogUnavailable`."""


class Wanted(Protocol):
    """Whom to plan for."""

    def __call__(self, account: str) -> bool:
        """Whether an account has a subscription."""
