"""The rules of chat as the writer runs them: completing answers with positions."""

from collections.abc import Sequence

from server.chat import decide as rules
from server.chat.commands import Answer, Command, Opened, Posted, Refusal, Seen
from server.chat.evolve import evolve
from server.chat.model import EVENTS, EVENTS_PER_COMMIT, Channel, Event, WriterChanged, s_of

RETRY_MS = 1000


def refuse(code: str, detail: str) -> Refusal:
    """Return a refusal of the writer."""
    return Refusal(code, detail, RETRY_MS)


class ChatRules:
    """`HotRules` of a kind of channel."""

    registry = EVENTS

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def initial(self, positions: Sequence[int]) -> Channel:
        """Return a channel in which nothing has happened."""
        return Channel(positions)

    def decide(self, state: Channel, command: Command, now: int) -> tuple[list[Event], rules.Reply]:
        """Decide one command."""
        decided = rules.decide(state, command, now)
        reply = decided[1]
        if isinstance(reply, Posted) and not reply.ref:
            # The place that the event is about to take: `evolve` counts the same way.
            version = len(state.positions) + 1
            index = state.index + 1 if state.version == version else 0
            reply.ref = version * EVENTS_PER_COMMIT + index
        return decided

    def evolve(self, state: Channel, event: Event, version: int) -> None:
        """Apply one event in place."""
        evolve(state, event, version)

    def tick(self, state: Channel, now: int) -> list[Event]:  # noqa: ARG002 - the clock alone brings about nothing
        """Return nothing."""
        return []

    def due(self, state: Channel) -> int | None:  # noqa: ARG002 - see `tick`
        """Return never."""
        return None

    def taken_over(self, term: int, writer: str) -> WriterChanged:
        """Return the event that fences earlier writers."""
        return WriterChanged(term, writer)

    def idle(self, state: Channel) -> bool:  # noqa: ARG002 - the same for all
        """Every channel may leave the memory and need not be taken over.

        Nothing happens to a channel by itself, and what an earlier writer still appends makes the next append of
        this one fail: compare-and-set decides between them.
        """
        return True

    def answer(self, state: Channel, reply: rules.Reply, version: int, positions: Sequence[int]) -> Answer:  # noqa: ARG002 - refs know their versions
        """Complete a reply."""
        if isinstance(reply, Posted | Seen):
            reply.s = s_of(positions, reply.ref)
        elif isinstance(reply, Opened):
            reply.s = s_of(positions, state.top)
        return reply

    def refuse(self, code: str, detail: str) -> Refusal:
        """Return a refusal of the writer."""
        return refuse(code, detail)
