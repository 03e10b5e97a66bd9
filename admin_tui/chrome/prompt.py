"""The line at the bottom that commands (`:`) and filters (`/`) are typed into."""

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label
from textual.widgets.input import Selection

from admin_tui.chrome.completion import CommandSuggester


class Prompt(Horizontal):
    """Hidden until it is opened; says what was typed and hides again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("tab", "complete", "Complete", show=False, priority=True),
    ]

    class Commanded(Message):
        """A command was entered."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Filtered(Message):
        """A filter was typed; `done`: and entered."""

        def __init__(self, text: str, *, done: bool) -> None:
            super().__init__()
            self.text = text
            self.done = done

    class Cancelled(Message):
        """Nothing was entered after all."""

        def __init__(self, sign: str, before: str) -> None:
            super().__init__()
            self.sign = sign
            self.before = before

    def __init__(self, complete: Callable[[str], str | None], *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._complete = complete
        self._sign = ":"
        self._before = ""
        self._left: Widget | None = None

    def compose(self) -> ComposeResult:
        yield Label(":", id="sign")
        yield Input(id="typed", select_on_focus=False, compact=True)
        yield Label("", id="wrong", markup=False)

    @property
    def is_open(self) -> bool:
        """Whether something is being typed."""
        return self.has_class("-open")

    def open(self, sign: str, text: str = "") -> None:
        """Show the line and type into it; `sign` is `:` or `/`."""
        self._sign, self._before = sign, text
        self.query_one("#sign", Label).update(sign)
        typed = self.query_one(Input)
        typed.suggester = CommandSuggester(self._complete) if sign == ":" else None
        with typed.prevent(Input.Changed):
            typed.value = text
        typed.selection = Selection.cursor(len(text))
        self.wrong("")
        self.add_class("-open")
        self._left = self.screen.focused
        # At once: a key that comes right behind must be typed here, and not be an action of the screen.
        self.screen.set_focus(typed)

    def wrong(self, why: str) -> None:
        """Say beside the line what is wrong with it."""
        self.query_one("#wrong", Label).update(why)

    def close(self) -> None:
        """Hide the line and give the focus back."""
        self.remove_class("-open")
        self.screen.set_focus(self._left if self._left is not None and self._left.is_attached else None)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.wrong("")
        if self._sign == "/" and self.is_open:
            self.post_message(self.Filtered(event.value, done=False))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._sign == "/":
            self.post_message(self.Filtered(event.value, done=True))
        else:
            self.post_message(self.Commanded(event.value))

    def action_cancel(self) -> None:
        """Leave everything as it was before the line was opened."""
        self.close()
        self.post_message(self.Cancelled(self._sign, self._before))

    def action_complete(self) -> None:
        """Take the completion that is shown."""
        typed = self.query_one(Input)
        typed.action_cursor_right()
