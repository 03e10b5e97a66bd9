"""Rules read as behaviour: `given(decider, events).when(command, now).then(events)` or `.rejected(code)`."""

from typing import Any

import pytest

from cells.kernel.decider import Decider
from cells.kernel.errors import Rejected


class Given:
    """An aggregate with a past."""

    def __init__(self, decider: Decider[Any, Any], events: list[Any]) -> None:
        self._decider = decider
        self.state = decider.initial()
        for event in events:
            self.state = decider.evolve(self.state, event)

    def when(self, command: Any, now: int) -> "When":
        """Name the command that comes, and the time at which it comes."""
        return When(self._decider, self.state, command, now)


class When:
    """A command about to be decided."""

    def __init__(self, decider: Decider[Any, Any], state: Any, command: Any, now: int) -> None:
        self._decider, self._state, self._command, self._now = decider, state, command, now

    def then(self, *events: Any) -> Any:
        """Expect exactly these events; return the state behind them."""
        decided = self._decider.decide(self._state, self._command, self._now)

        assert list(events) == decided

        state = self._state
        for event in decided:
            state = self._decider.evolve(state, event)
        return state

    def rejected(self, code: str) -> Rejected:
        """Expect a refusal with this code; return it."""
        with pytest.raises(Rejected) as caught:
            self._decider.decide(self._state, self._command, self._now)

        assert code == caught.value.code

        return caught.value


def given(decider: Decider[Any, Any], *events: Any) -> Given:
    """Start from the events that happened before."""
    return Given(decider, list(events))
