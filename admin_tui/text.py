"""Text of people made harmless for a terminal: it moves no cursor, hides nothing, and is as wide as it counts."""

import unicodedata
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

# Control, format (bidirectional marks, zero width), surrogate, private use and unassigned characters.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SPACES: Final = frozenset({"Zs", "Zl", "Zp"})
_MARKS: Final = frozenset({"Mn", "Me", "Mc"})
# One cell to every terminal's arithmetic, and ten to its font.
_OVERSIZED: Final = frozenset("\ufdfd\U00012219\U0001242b")
MAX_MARKS: Final = 2
STAND_IN: Final = "·"


def inert(text: str, width: int | None = None) -> str:
    """Return one line without escape codes, control, bidirectional or invisible characters, at most `width` cells.

    What is taken out leaves a dot, so that two names which only differ in it do not look the same. The result
    still has to be shown as `rich.text.Text` or `Content`, never as markup.
    """
    if text.isascii() and text.isprintable():
        return text if width is None else fit(text, width)
    shown: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        if category in _MARKS:
            marks += 1
            if marks <= MAX_MARKS and not _is_selector(character):
                shown.append(character)
            continue
        marks = 0
        shown.append(_one(character, category))
    line = "".join(shown)
    return line if width is None else fit(line, width)


def _one(character: str, category: str) -> str:
    if category in _SPACES or character in "\t\n\r":
        return " "
    if category in _HIDDEN or character in _OVERSIZED:
        return STAND_IN
    return character


def _is_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def fit(text: str, width: int) -> str:
    """Return `text` cut to `width` cells, with an ellipsis where something is missing."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"


def plain(text: str, style: str = "", width: int | None = None) -> Text:
    """Return harmless text as something that is never read as markup."""
    return Text(inert(text, width), style=style, no_wrap=True, end="")
