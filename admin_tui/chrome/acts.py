"""The line above the key hints: how far the newest action has come."""

from typing import Final

from textual.content import Content
from textual.widgets import Static

from admin_tui.actions import Life
from admin_tui.picture import Picture
from admin_tui.text import inert
from admin_tui.widgets import figures

SHOWN_MS: Final = 15_000


class Acts(Static):
    """Hidden where there is no action of the last 15 s, and none that waits to be tried again."""

    def show(self, picture: Picture) -> None:
        """Show the newest action of a live picture."""
        life = next((life for life in picture.actions if _is_fresh(life, picture.at)), None)
        shown = life is not None and picture.replay is None
        self.set_class(shown, "-shown")
        if life is not None and shown:
            line = story(life)
            if line != self.content:
                self.update(line, layout=False)


def _is_fresh(life: Life, now: int) -> bool:
    over = life.effective_at or life.ended_at
    return over is None or now - over < SHOWN_MS or life.may_retry


def story(life: Life) -> Content:
    """Return how far an action has come, stage by stage."""
    parts = [(f" {inert(life.action.what, 40)}  ", "bold")]
    parts.append((f"requested {figures.clock(life.requested_at)}", ""))
    if life.tries > 1:
        parts.append((f" (try {life.tries})", ""))
    if life.acknowledged_at is not None:
        took = life.acknowledged_at - life.requested_at
        parts.append(
            (f" → acknowledged +{took} ms" + (f", revision {life.revision}" if life.revision else ""), "")
        )
    match life.stage:
        case "requested":
            parts.append((" → …", "dim"))
        case "acknowledged":
            parts.append((" → effective …", "dim"))
        case "effective":
            parts.append(
                (f" → effective +{(life.effective_at or 0) - life.requested_at} ms", "bold $success")
            )
        case "refused":
            parts.append((f" → REFUSED {inert(life.code, 30)}: {inert(life.word, 120)}", "bold $error"))
        case "failed":
            parts.append((f" → NO ANSWER: {inert(life.word, 80)}", "bold $error"))
    if life.may_retry:
        parts.append(("  y tries again", "bold"))
    return Content.assemble(*parts)
