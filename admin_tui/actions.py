"""An action of an operator, and its life: requested, acknowledged by the server, effective in what is seen."""

from typing import Any, Literal

import msgspec

from admin_tui.wire import Frame

Stage = Literal["requested", "acknowledged", "effective", "failed", "refused"]
STEPS: dict[str, str] = {
    "arm": "armed",
    "open": "open",
    "pause": "paused",
    "resume": "open",
    "end": "ended",
    "kill": "killed",
}


class Action(msgspec.Struct, frozen=True):
    """What is asked of a cell. A repeat under the same `key` is the same action to the server.

    `sale`: whose frame will show the effect, empty for actions that no frame shows. `state` and `revision`: what
    to look for; `revision` is the one that was on the screen when the operator decided.
    """

    cell: str
    what: str
    path: str
    key: str
    body: dict[str, Any] = {}
    sale: str = ""
    state: str = ""
    revision: int | None = None
    method: Literal["POST", "DELETE"] = "POST"


class Life(msgspec.Struct, frozen=True):
    """How far an action has come. `word`: the server's words, or why there was no answer.

    `position`: the place of its event in the log, once that is known. `times`: when each stage was reached.
    """

    action: Action
    stage: Stage = "requested"
    requested_at: int = 0
    acknowledged_at: int | None = None
    effective_at: int | None = None
    ended_at: int | None = None
    revision: int = 0
    position: int = 0
    code: str = ""
    word: str = ""
    tries: int = 1

    @property
    def may_retry(self) -> bool:
        """The same action may be sent again under the same key: its outcome is unknown, or no for now."""
        return self.stage == "failed" or (self.stage == "refused" and self.code in RETRYABLE)


RETRYABLE = frozenset({"rate_limited", "unavailable", "overloaded", "timeout", "outcome_unknown", "internal"})


def acknowledged(life: Life, now: int, revision: int, position: int) -> Life:
    """The server said yes. An action that no frame shows is effective with that."""
    acked = msgspec.structs.replace(
        life,
        stage="acknowledged",
        acknowledged_at=now,
        revision=revision,
        position=position,
        code="",
        word="",
    )
    if not life.action.sale:
        return msgspec.structs.replace(acked, stage="effective", effective_at=now)
    return acked


def refused(life: Life, now: int, code: str, word: str) -> Life:
    """The server said no."""
    return msgspec.structs.replace(life, stage="refused", ended_at=now, code=code, word=word)


def failed(life: Life, now: int, word: str) -> Life:
    """There was no answer: what was asked for may have been done."""
    return msgspec.structs.replace(life, stage="failed", ended_at=now, code="", word=word)


def again(life: Life, now: int) -> Life:
    """The same action, sent once more."""
    return msgspec.structs.replace(
        life, stage="requested", requested_at=now, ended_at=None, code="", word="", tries=life.tries + 1
    )


def seen(life: Life, frame: Frame, now: int) -> Life:
    """Look for the effect in a frame: the sale has the revision that was acknowledged, or the log is past it."""
    if life.stage != "acknowledged" or frame.cell != life.action.cell or frame.mode != "live":
        return life
    shown = next((sale for sale in frame.sales if sale.id == life.action.sale), None)
    if shown is None:
        past = life.position and frame.position >= life.position
        return msgspec.structs.replace(life, stage="effective", effective_at=now) if past else life
    there = shown.revision >= life.revision if life.revision else shown.state == life.action.state
    return msgspec.structs.replace(life, stage="effective", effective_at=now) if there else life
