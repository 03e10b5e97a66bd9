"""Dialogs that ask before something happens: a reason, the thing's name typed again, a rate, a line of text."""

from typing import ClassVar, Final

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from admin_tui.text import inert

MAX_REASON: Final = 200
MAX_RATE: Final = 1_000_000
# So many characters of an id's end are as good as the whole id: nobody types 33 of them in a hurry.
ENOUGH: Final = 6


class Answer(msgspec.Struct, frozen=True):
    """What was decided. `value` is what was typed beside the reason; None lifts a throttle."""

    reason: str = ""
    value: str | int | None = None


class Question(msgspec.Struct, frozen=True):
    """What is asked. `type_again` is what has to be typed, `needs_reason` says that a reason cannot be left out."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""
    verb: str = "Do it"
    type_again: str = ""
    asks_reason: bool = True
    needs_reason: bool = False
    is_grave: bool = False


def is_named(typed: str, name: str) -> bool:
    """Tell whether what was typed names the thing: all of its name, or enough of its end."""
    typed = typed.strip()
    return typed == name or (len(typed) >= ENOUGH and name.endswith(typed))


class Dialog(ModalScreen[Answer | None]):
    """Asks, and is dismissed with the answer, or with None: nothing happens."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]
    AUTO_FOCUS = "Input, #yes"

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        asked = self.question
        with Vertical(id="dialog", classes="-grave" if asked.is_grave else "") as box:
            box.border_title = Content(inert(asked.title, 60))
            for label, value in asked.facts:
                yield Static(Content.assemble((f"{label:>10}  ", "$foreground-muted"), inert(value, 58)))
            if asked.note:
                yield Static(Content(asked.note), classes="note")
            yield from self.fields()
            if asked.asks_reason or asked.needs_reason:
                optional = "" if asked.needs_reason else "  (may be empty)"
                yield Static(Content.assemble("Reason", (optional, "$foreground-muted")), classes="label")
                yield Input(id="reason", max_length=MAX_REASON, compact=True)
            yield Static("", id="missing")
            with Horizontal(id="buttons"):
                yield Button(
                    asked.verb, id="yes", variant="error" if asked.is_grave else "primary", compact=True
                )
                yield Button("Cancel", id="no", compact=True)
                yield Static(Content.styled("enter confirms · esc cancels", "$foreground-muted"), id="hint")

    def fields(self) -> ComposeResult:
        """Yield what is asked for beside the reason."""
        if self.question.type_again:
            name = self.question.type_again
            yield Static(
                Content.assemble(
                    "Type ", (name, "bold"), (f"  or its last {ENOUGH} characters", "$foreground-muted")
                ),
                classes="label",
            )
            yield Input(id="again", compact=True)

    def wrong(self) -> str:
        """Return what is missing before it can be done; empty where nothing is."""
        asked = self.question
        if asked.type_again and not is_named(self.typed("again"), asked.type_again):
            return "That is not its id."
        if asked.needs_reason and not self.typed("reason"):
            return "A reason is needed: it goes into the log."
        return ""

    def value(self) -> str | int | None:
        """Return what was typed beside the reason."""
        return None

    def typed(self, field: str) -> str:
        """Return what stands in a field; empty where there is no such field."""
        found = self.query(f"#{field}").results(Input)
        return next((each.value.strip() for each in found), "")

    @on(Input.Submitted)
    @on(Button.Pressed, "#yes")
    def _decide(self) -> None:
        missing = self.wrong()
        if missing:
            self.query_one("#missing", Static).update(Content.styled(missing, "bold $text-error"))
            self._focus_first_empty()
            return
        self.dismiss(Answer(self.typed("reason"), self.value()))

    def _focus_first_empty(self) -> None:
        for each in self.query(Input):
            if not each.value.strip():
                each.focus()
                return

    @on(Input.Changed)
    def _typing(self) -> None:
        self.query_one("#missing", Static).update("")

    @on(Button.Pressed, "#no")
    def action_cancel(self) -> None:
        """Leave without doing anything."""
        self.dismiss(None)


class RateDialog(Dialog):
    """Asks for holds a second; empty lifts the limit."""

    def __init__(self, question: Question, current: int | None = None) -> None:
        super().__init__(question)
        self._current = current

    def fields(self) -> ComposeResult:
        yield Static(
            Content.assemble("Holds a second", ("  (empty: no limit)", "$foreground-muted")), classes="label"
        )
        shown = "" if self._current is None else str(self._current)
        yield Input(shown, id="rate", type="integer", max_length=7, compact=True)

    def wrong(self) -> str:
        typed = self.typed("rate")
        if typed and not (typed.isascii() and typed.isdigit() and 1 <= int(typed) <= MAX_RATE):
            return f"A rate is a number from 1 to {MAX_RATE:,}."
        return super().wrong()

    def value(self) -> int | None:
        typed = self.typed("rate")
        return int(typed) if typed else None


class TextDialog(Dialog):
    """Asks for one line of text."""

    def __init__(self, question: Question, label: str, text: str = "", *, is_number: bool = False) -> None:
        super().__init__(question)
        self._label = label
        self._text = text
        self._is_number = is_number

    def fields(self) -> ComposeResult:
        yield Static(Content(self._label), classes="label")
        yield Input(self._text, id="text", type="integer" if self._is_number else "text", compact=True)

    def value(self) -> str:
        return self.typed("text")
