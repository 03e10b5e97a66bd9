"""Commands and answers between a client and the writer: MessagePack, one message for all commands of a tick."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

C = TypeVar("C")
A = TypeVar("A")

COMMANDS_PER_MESSAGE = 512


class Request(msgspec.Struct, Generic[C], frozen=True, array_like=True):
    """Commands that are worthless after `deadline` (epoch milliseconds)."""

    deadline: int
    commands: list[C]


class Wire(msgspec.Struct, Generic[C, A], frozen=True):
    """How one family of commands crosses. `suffix` stands behind the leader's subject.

    `refuse(code, detail)` makes the answer that says no, with a code of `cells.kernel.errors`.
    """

    suffix: str
    encode_request: Callable[[Request[C]], bytes]
    decode_request: Callable[[bytes], Request[C]]
    encode_answers: Callable[[Sequence[A | None]], bytes]
    decode_answers: Callable[[bytes], list[A]]
    refuse: Callable[[str, str], A]
