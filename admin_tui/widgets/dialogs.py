"""A dialog that asks for one value and a reason before something is done to a room."""

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

MAX_REASON = 200


class Asked(msgspec.Struct, frozen=True):
    """What was typed."""

    value: str
    reason: str


class Question(msgspec.Struct, frozen=True):
    """`label` names the value that is asked for, empty for none; `most` bounds a value that has to be a number."""

    title: str
    about: str
    verb: str
    note: str = ""
    label: str = ""
    value: str = ""
    most: int | None = None
    is_grave: bool = False


class AskDialog(ModalScreen[Asked | None]):
    """Asks, and is dismissed with what was typed, or with None where the operator thinks better of it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        asked = self.question
        with Vertical(id="dialog", classes="-danger" if asked.is_grave else ""):
            yield Label(Content.assemble((asked.title.upper() + "  ", "bold"), inert(asked.about, 44)))
            yield Label(Content(asked.note), id="warning")
            if asked.label:
                yield Label(Content(asked.label))
                yield Input(
                    asked.value, id="value", type="text" if asked.most is None else "integer", compact=True
                )
            yield Label("Reason (may be empty), kept in the log:")
            yield Input(id="reason", max_length=MAX_REASON, compact=True)
            yield Label("", id="wrong", markup=False)
            with Horizontal(id="buttons"):
                yield Button(asked.verb, id="do", variant="error" if asked.is_grave else "primary")
                yield Button("Cancel", id="cancel")

    @on(Input.Submitted, "#value")
    def _next(self) -> None:
        self.query_one("#reason").focus()

    @on(Input.Submitted, "#reason")
    @on(Button.Pressed, "#do")
    def _do(self) -> None:
        value = self.query_one("#value", Input).value.strip() if self.question.label else ""
        most = self.question.most
        if most is not None and not (value.isascii() and value.isdigit() and int(value) <= most):
            self.query_one("#wrong", Label).update(f"A whole number from 0 to {most:,}.")
            return
        self.dismiss(Asked(value, self.query_one("#reason", Input).value.strip()))

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)
