"""The grammar of the filter line: `text` or a regular expression, `!text` inverse, `-f text` fuzzy."""

import re
from functools import cached_property
from typing import Final

MAX_PATTERN: Final = 200


class BadFilter(ValueError):  # noqa: N818 - what was typed
    """The pattern cannot be used; the message says why."""


class Filter:
    """A filter over lines of text. The empty one lets everything through."""

    def __init__(self, text: str = "", *, inverse: bool = False, fuzzy: bool = False) -> None:
        self.text = text
        self.inverse = inverse
        self.fuzzy = fuzzy

    @classmethod
    def parse(cls, typed: str) -> "Filter":
        """Read what was typed; raises BadFilter."""
        typed = typed.strip()
        if len(typed) > MAX_PATTERN:
            raise BadFilter(f"A filter has at most {MAX_PATTERN} characters.")
        fuzzy = typed.startswith("-f ")
        if fuzzy:
            return cls(typed[3:].strip(), fuzzy=True)
        inverse = typed.startswith("!")
        made = cls(typed[1:] if inverse else typed, inverse=inverse)
        try:
            made._expression  # noqa: B018 - compiled here, so that a bad one is refused here
        except re.error as error:
            raise BadFilter(f"{made.text!r} is no regular expression: {error}.") from error
        return made

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(self.text, re.IGNORECASE)

    def matches(self, *fields: str) -> bool:
        """Tell whether a line of these fields is to be shown."""
        if not self.text:
            return True
        line = " ".join(fields)
        if self.fuzzy:
            return is_subsequence(self.text.casefold(), line.casefold())
        return (self._expression.search(line) is not None) != self.inverse

    def __bool__(self) -> bool:
        return bool(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        """Return it as it is typed."""
        if not self.text:
            return ""
        return f"-f {self.text}" if self.fuzzy else f"{'!' if self.inverse else ''}{self.text}"


def is_subsequence(needle: str, hay: str) -> bool:
    """Tell whether the characters of `needle` come in `hay` in that order; spaces do not count."""
    rest = iter(hay)
    return all(character in rest for character in needle if character != " ")
