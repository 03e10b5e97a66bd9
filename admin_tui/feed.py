"""The port between the dashboard and a cell: frames as they come, questions, and actions. Paths are below /api/v1."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from admin_tui.answers import Effect, Problem
from admin_tui.wire import Frame

T = TypeVar("T")
Params = Mapping[str, str | int | None]


class Lost(msgspec.Struct, frozen=True):
    """The cell cannot be heard. `final`: it will not be, with this key; the feed has ended."""

    why: str
    final: bool = False


class Regained(msgspec.Struct, frozen=True):
    """The cell is heard again; a frame follows."""


Heard = Frame | Lost | Regained


class Refused(Exception):  # noqa: N818 - the server's answer
    """The server said no to a question, and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title or problem.code)
        self.problem = problem


class Unreachable(Exception):  # noqa: N818 - a state
    """There was no answer, or none that can be read. What was asked for may have been done."""


class Reply(msgspec.Struct, frozen=True):
    """The answer to an action. `problem` is there exactly when it was refused."""

    status: int
    body: bytes = b""
    problem: Problem | None = None

    @property
    def effect(self) -> Effect:
        """Where the action is to be seen; empty where the answer does not say."""
        try:
            return msgspec.json.decode(self.body, type=Effect)
        except msgspec.MsgspecError:
            return Effect()


class Feed(Protocol):
    """One cell. `cell` is its name as far as it is known; `url` is where it is."""

    cell: str
    url: str

    def frames(self) -> AsyncGenerator[Heard, None]:
        """Yield frames for as long as it is iterated; a loss is told, and mended by the feed itself."""
        ...

    async def get(self, path: str, params: Params, type_: type[T]) -> T:
        """Answer a question. Raises Refused or Unreachable, within 10 s."""
        ...

    async def post(self, path: str, body: Any, key: str) -> Reply:
        """Ask for an action under an Idempotency-Key. Raises Unreachable within 10 s: the outcome is unknown."""
        ...

    async def delete(self, path: str, key: str) -> Reply:
        """Ask for something to be ended. Raises Unreachable within 10 s: the outcome is unknown."""
        ...

    async def close(self) -> None:
        """Let go of connections; `frames` ends."""
        ...
