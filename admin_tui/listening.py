"""From feeds to the app: one worker a cell, and a mailbox that keeps the newest of each."""

from textual.message import Message
from textual.message_pump import MessagePump

from admin_tui.feed import Feed, Lost, Regained
from admin_tui.wire import Frame


class Mailbox:
    """What was heard and not yet taken. Full policy: of each cell the newest frame and the newest state are kept."""

    def __init__(self) -> None:
        self._frames: dict[str, Frame] = {}
        self._states: dict[str, Lost | Regained] = {}

    def put(self, cell: str, heard: Frame | Lost | Regained) -> bool:
        """Keep what was heard; True where nothing was waiting, so that it has to be said that something is now."""
        was_empty = not self._frames and not self._states
        if isinstance(heard, Frame):
            self._frames[cell] = heard
        else:
            self._states[cell] = heard
        return was_empty

    def take(self) -> tuple[dict[str, Lost | Regained], dict[str, Frame]]:
        """Return everything and keep nothing."""
        states, frames = self._states, self._frames
        self._states, self._frames = {}, {}
        return states, frames


class FrameArrived(Message):
    """Something is in the mailbox. Says no more, so that any number of them is as good as one."""

    def can_replace(self, message: Message) -> bool:
        """Tell that an earlier one is not needed."""
        return isinstance(message, FrameArrived)


async def listen(feed: Feed, cell: str, mailbox: Mailbox, to: MessagePump) -> None:
    """Put what a feed tells into the mailbox until the feed ends, which is told as well."""

    def put(heard: Frame | Lost | Regained) -> None:
        if mailbox.put(cell, heard):
            to.post_message(FrameArrived())

    last: Frame | Lost | Regained | None = None
    try:
        async for heard in feed.frames():
            last = heard
            put(heard)
    except Exception as error:  # noqa: BLE001 - one cell's feed must not end the dashboard of the others
        last = Lost(f"the feed failed: {type(error).__name__}: {error}", final=True)
        put(last)
    if not isinstance(last, Lost):
        put(Lost("the feed ended", final=True))
