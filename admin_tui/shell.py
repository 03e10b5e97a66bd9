"""What the shell of the dashboard offers to its screens."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from admin_tui.feed import Params
from admin_tui.picture import Picture
from admin_tui.wire import SaleRow

T = TypeVar("T")


class Table(msgspec.Struct, frozen=True):
    """What `E` writes into a file: the rows that are visible, in their order, as plain values."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Shell(Protocol):
    """The app, as screens see it. Everything but `ask` returns at once."""

    picture: Picture
    mono: bool
    frozen: bool

    async def ask(self, path: str, params: Params, type_: type[T], *, cell: str = "") -> T:
        """Answer a question to a cell (the selected one), as of the replay where there is one.

        For workers. Raises `feed.Refused` or `feed.Unreachable` within 10 s.
        """
        ...

    def steer(self, cell: str, sale: SaleRow, what: str) -> None:
        """Arm, open, pause, resume, end, kill or throttle a sale; asks what has to be asked.

        Says why where nothing can be changed. How it goes on is in `picture.actions`.
        """
        ...

    def moderate(self, cell: str, room: str, what: str, body: dict[str, Any]) -> None:
        """Send the body of a moderation to the room of a sale; `what` says it in words, for example `mute ana`."""
        ...

    def retry(self, key: str) -> None:
        """Send an action once more under its key."""
        ...

    def select_cell(self, cell: str) -> None:
        """Make a cell the one that screens about one cell show."""
        ...

    def go(self, mode: str, aim: str = "") -> None:
        """Show a mode, and in it what `aim` names: an id, or a pattern of subjects."""
        ...

    def tell(self, text: str, *, severity: str = "information") -> None:
        """Show a short message; `severity` is information, warning or error. Text of people stays inert."""
        ...

    def replay_at(self, *, at: int | None = None, position: int | None = None) -> None:
        """Show everything as of a time, or as of a position in the selected cell's log."""
        ...

    def command(self, text: str) -> None:
        """Do what a command of the command line says; what is wrong with it is told."""
        ...

    def complete(self, text: str) -> str | None:
        """Return a command that begins with the text, where there is one."""
        ...
