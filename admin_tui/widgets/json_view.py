"""A value as JSON in many lines, with quiet colours. Everything in it is harmless for a terminal."""

import json
from collections.abc import Iterator
from typing import Any, Final

from textual.content import Content

from admin_tui.text import inert
from admin_tui.widgets.figures import DIM, GOOD, INK, WARN

MAX_LINES: Final = 2000
MAX_STRING: Final = 2000
INDENT: Final = "  "


def as_json(value: Any) -> Content:
    """Return the value; what is beyond 2,000 lines, or 2,000 characters of a string, is cut and said to be."""
    shown: list[Content] = []
    for line in _lines(value, "", ""):
        if len(shown) == MAX_LINES:
            shown.append(Content.styled("… more than is shown here; export it with E", DIM))
            break
        shown.append(line)
    return Content("\n").join(shown)


def _lines(value: Any, indent: str, comma: str, name: Content | None = None) -> Iterator[Content]:
    head = Content(indent) if name is None else Content.assemble(indent, name, (": ", DIM))
    match value:
        case dict() if value:
            yield Content.assemble(head, ("{", DIM))
            rest = len(value)
            for key, each in value.items():
                rest -= 1
                yield from _lines(each, indent + INDENT, "," if rest else "", _key(str(key)))
            yield Content.styled(f"{indent}}}{comma}", DIM)
        case list() if value and not _is_short(value):
            yield Content.assemble(head, ("[", DIM))
            for index, each in enumerate(value):
                yield from _lines(each, indent + INDENT, "," if index < len(value) - 1 else "")
            yield Content.styled(f"{indent}]{comma}", DIM)
        case list():
            inner = Content(", ").join([_scalar(each) for each in value])
            yield Content.assemble(head, ("[", DIM), inner, ("]" + comma, DIM))
        case _:
            yield Content.assemble(head, _scalar(value), (comma, DIM))


def _is_short(value: list[Any]) -> bool:
    return len(value) <= 12 and all(isinstance(each, int | float | bool) for each in value)


def _key(name: str) -> Content:
    return Content.styled(_quoted(name), INK)


def _scalar(value: Any) -> Content:
    match value:
        case str():
            return Content.styled(_quoted(value), GOOD)
        case bool() | None:
            return Content.styled(json.dumps(value), WARN)
        case int() | float():
            return Content.styled(f"{value}", "bold")
        case _:
            return Content.styled("{}", DIM)


def _quoted(text: str) -> str:
    """Return JSON's own spelling of a string, so that escape codes show as their numbers; the rest is harmless."""
    cut = text[:MAX_STRING]
    more = f" … {len(text) - MAX_STRING:,} more" if len(text) > MAX_STRING else ""
    return inert(json.dumps(cut, ensure_ascii=False)) + more
