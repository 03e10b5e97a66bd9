"""Completion of commands while they are typed."""

from collections.abc import Callable

from textual.suggester import Suggester


class CommandSuggester(Suggester):
    """Asks for a completion of what is typed; what exists changes, so nothing is remembered."""

    def __init__(self, complete: Callable[[str], str | None]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        """Return the completed command."""
        return self._complete(value)
