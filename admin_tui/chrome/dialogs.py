"""What is asked before an action that ends something, or that needs a number."""

from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from admin_tui.text import inert
from admin_tui.wire import SaleRow

MAX_REASON = 200


class Decided(msgspec.Struct, frozen=True):
    """What the operator decided: a reason, and for a throttle how many a second (None: no throttle)."""

    reason: str
    per_second: int | None = None


class Dialog(ModalScreen[Decided | None]):
    """A question about a sale. It is dismissed with None where the operator thinks better of it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]
    VERB: ClassVar[str] = ""
    WARNING: ClassVar[str] = ""
    DANGER: ClassVar[bool] = True

    def __init__(self, cell: str, sale: SaleRow) -> None:
        super().__init__()
        self.cell = cell
        self.sale = sale

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="-danger" if self.DANGER else ""):
            yield Label(Content.assemble((f"{self.VERB.upper()}  ", "bold"), inert(self.sale.title, 44)))
            yield Label(Content.assemble((self.sale.id, "bold"), f"  in {inert(self.cell, 20)}"))
            yield Label(Content(self.warning()), id="warning")
            yield from self.fields()
            yield Label("", id="wrong", markup=False)
            with Horizontal(id="buttons"):
                yield Button(self.VERB.capitalize(), id="do", variant="error" if self.DANGER else "primary")
                yield Button("Cancel", id="cancel")

    def warning(self) -> str:
        """Return what will come of it."""
        return self.WARNING

    def fields(self) -> ComposeResult:
        """Yield the inputs."""
        yield from self.reason(required=True)

    def reason(self, *, required: bool) -> ComposeResult:
        """Yield the input for a reason."""
        yield Label(f"Reason{'' if required else ' (may be empty)'}, kept in the log:")
        yield Input(id="reason", max_length=MAX_REASON, compact=True)

    def decide(self) -> Decided | str:
        """Return what was decided, or what is missing."""
        reason = self.query_one("#reason", Input).value.strip()
        return Decided(reason) if reason else "Give a reason."

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#do")
    @on(Input.Submitted, "#reason")
    def _do(self) -> None:
        decided = self.decide()
        if isinstance(decided, str):
            self.query_one("#wrong", Label).update(decided)
            return
        self.dismiss(decided)

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        if event.input.id != "reason":
            self.query_one("#reason").focus()


class EndDialog(Dialog):
    """Asks before a sale is ended."""

    VERB = "end"
    WARNING = "Nothing more is sold. Units on hold may still be paid. An ended sale cannot be opened again."


class KillDialog(Dialog):
    """Asks before a sale is killed: its id has to be typed."""

    VERB = "kill"

    def warning(self) -> str:
        return f"Selling stops now, and {self.sale.held:,} held units are taken back from their buyers. There is no way back."

    def fields(self) -> ComposeResult:
        yield Label("Type the sale's id:")
        yield Input(id="id", compact=True)
        yield from self.reason(required=True)

    def decide(self) -> Decided | str:
        if self.query_one("#id", Input).value.strip() != self.sale.id:
            return f"That is not {self.sale.id}."
        return super().decide()


class ThrottleDialog(Dialog):
    """Asks how many holds a second a sale may grant."""

    VERB = "throttle"
    DANGER = False
    WARNING = "More holds a second than this are turned away with 429. Empty: no throttle."

    def fields(self) -> ComposeResult:
        yield Label("Holds a second:")
        now = "" if self.sale.throttle is None else str(self.sale.throttle)
        yield Input(now, id="per_second", type="integer", compact=True)
        yield from self.reason(required=False)

    def decide(self) -> Decided | str:
        typed = self.query_one("#per_second", Input).value.strip()
        if typed and not (typed.isascii() and typed.isdigit() and int(typed) >= 1):
            return "A whole number from 1, or nothing."
        return Decided(self.query_one("#reason", Input).value.strip(), int(typed) if typed else None)


DIALOGS: dict[str, type[Dialog]] = {"end": EndDialog, "kill": KillDialog, "throttle": ThrottleDialog}
