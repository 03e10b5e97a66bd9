"""One commit of the log: where it is, what holds it in the chain, its events as JSON."""

from textual.content import Content

from admin_tui.answers import Commit
from admin_tui.text import inert
from admin_tui.widgets import figures
from admin_tui.widgets.drawn import Fact, facts
from admin_tui.widgets.figures import DIM, INK
from admin_tui.widgets.json_view import as_json

HASH = 24


def commit_view(commit: Commit) -> Content:
    """Return everything that is known of a commit."""
    moment = f"{figures.day(commit.at)}.{commit.at % 1000:03}"
    head = facts(
        [
            Fact("at", Content.assemble(moment, (f"   version {commit.version:,}", DIM))),
            Fact("subject", Content.styled(inert(commit.subject, 160), INK)),
            Fact("hash", Content.styled(inert(commit.hash, HASH), DIM)),
            Fact("before", Content.styled(inert(commit.prev, HASH), DIM)),
        ]
    )
    events = [
        as_json({"type": each.type, "version": each.version, "data": each.data}) for each in commit.events
    ]
    return Content("\n\n").join([head, *events])
