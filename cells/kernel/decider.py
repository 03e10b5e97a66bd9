"""The shape of every aggregate: decide what happens, then evolve by what happened.

After J. Chassaing, "Functional Event Sourcing Decider" (2021).
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from cells.kernel.codec import Registry

S = TypeVar("S")
C = TypeVar("C")


class Decider(msgspec.Struct, Generic[S, C], frozen=True):
    """The rules of one aggregate kind.

    `decide(state, command, now)` returns events or raises `Rejected`, and changes nothing;
    `evolve(state, event)` returns the state after one event. `kind` is the subject token of its log.
    """

    kind: str
    initial: Callable[[], S]
    decide: Callable[[S, C, int], list[Any]]
    evolve: Callable[[S, Any], S]
    registry: Registry
