"""The life cycle of a sale, as a table. What is not in it is refused with `wrong_state`.

draft -> armed -> open <-> paused -> ended          killed from any state but ended
"""

from server.flash_sale.model import State, Step

STEPS: dict[tuple[State, Step], State] = {
    ("draft", "arm"): "armed",
    ("armed", "open"): "open",
    ("open", "pause"): "paused",
    ("paused", "resume"): "open",
    ("open", "end"): "ended",
    ("paused", "end"): "ended",
    ("draft", "kill"): "killed",
    ("armed", "kill"): "killed",
    ("open", "kill"): "killed",
    ("paused", "kill"): "killed",
}

OPERATOR_STEPS: frozenset[Step] = frozenset({"pause", "resume", "end", "kill"})

FINAL: frozenset[State] = frozenset({"ended", "killed"})


def due_move(state: State, starts_at: int | None, ends_at: int | None, now: int) -> State | None:
    """Return the state that the clock alone leads to, one step at a time; None when there is none."""
    if state in ("armed", "open", "paused") and ends_at is not None and now >= ends_at:
        return "ended"
    if state == "armed" and starts_at is not None and now >= starts_at:
        return "open"
    return None
