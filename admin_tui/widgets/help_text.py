"""The help, made of the bindings and the commands themselves, so that it cannot be behind them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.keys import format_key

from admin_tui.widgets.figures import ACCENT, DIM

KEY_WIDTH: Final = 14
SPOKEN: Final = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}
FILTERS: Final = (
    ("word", "lines in which it is, as a regular expression"),
    ("!word", "lines in which it is not"),
    ("-f wrd", "lines that have these letters in this order"),
)


def keys_of(bindings: Iterable[BindingType]) -> list[tuple[str, str]]:
    """Return keys and what they do, several keys of one action together."""
    found: dict[str, list[str]] = {}
    for binding in bindings:
        if isinstance(binding, Binding) and binding.description:
            keys = (
                [binding.key_display]
                if binding.key_display
                else [_spoken(key) for key in binding.key.split(",")]
            )
            found.setdefault(binding.description, []).extend(keys)
    return [(" ".join(keys), description) for description, keys in found.items()]


def _spoken(key: str) -> str:
    return SPOKEN.get(key) or format_key(key)


def section(title: str, rows: Sequence[tuple[str, str]], width: int = KEY_WIDTH) -> Content:
    """Return a titled list of what to type and what comes of it."""
    lines = [Content.styled(title, f"bold {ACCENT}")]
    lines += [Content.assemble((f"  {typed:<{width}} ", "bold"), (what, DIM)) for typed, what in rows]
    return Content("\n").join(lines)


def sections(
    everywhere: Iterable[BindingType],
    replaying: Collection[str],
    modes: Mapping[str, Any],
    widgets: Mapping[str, Iterable[BindingType]],
    usage: Mapping[str, tuple[str, str]],
) -> list[Content]:
    """Return all sections; `replaying` are the actions of the app that move a replay."""
    bindings = [each for each in everywhere if isinstance(each, Binding)]
    moving = [each for each in bindings if each.action.partition("(")[0] in replaying]
    found = [
        section("everywhere", [*keys_of(each for each in bindings if each not in moving), ("esc", "Back")]),
        section("in a replay", keys_of(moving)),
    ]
    own = {name: keys_of(screen.__dict__.get("BINDINGS", ())) for name, screen in modes.items()}
    found += [section(name, keys) for name, keys in own.items() if keys]
    found += [section(name, keys_of(bindings)) for name, bindings in widgets.items()]
    found.append(section("filters, behind /", FILTERS))
    found.append(section("commands, behind :", [(":" + how, what) for how, what in usage.values()], 26))
    return found
