"""Where the hub learns of `latest` channels: the port, what both adapters share, and the one in memory."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from realtime.events import Shown

REMEMBERED: Final = 4_096


class UnknownChannel(Exception):  # noqa: N818 - an answer, not a fault
    """There is no such channel."""


class FeedUnavailable(Exception):  # noqa: N818 - a state, not a fault of the caller
    """Nobody answered within the deadline; whether the channel exists is not known."""


OnShown = Callable[[str, Shown], None]


class LatestFeed(Protocol):
    """The newest states of channels, named by their keys. States given out for a channel never go back in position."""

    @property
    def epoch(self) -> str:
        """The incarnation of the log that positions count in."""

    def known(self, key: str) -> Shown | None:
        """Answer the newest state if it is at hand."""

    async def get(self, key: str) -> Shown:
        """Answer the newest state. Raises UnknownChannel or FeedUnavailable, within 2 s."""

    def watch(self, on_shown: OnShown) -> None:
        """Call `on_shown` with every state that is newer than those before it of the same channel."""

    def interest(self, watched: Callable[[], list[str]]) -> None:
        """Keep the channels that `watched` lists up to date, whatever messages were lost."""


class Newest:
    """The newest state of each channel, so far as remembered."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        # Full policy: the channel heard of longest ago is forgotten, and asked for when it is wanted.
        self._states: OrderedDict[str, Shown] = OrderedDict()

    def take(self, key: str, shown: Shown) -> bool:
        """Remember a state; False when one as new is known."""
        known = self._states.get(key)
        if known is not None and shown.position <= known.position:
            return False
        self._states[key] = shown
        self._states.move_to_end(key)
        if len(self._states) > self._limit:
            self._states.popitem(last=False)
        return True

    def get(self, key: str) -> Shown | None:
        """Answer the newest state, if the channel is remembered."""
        return self._states.get(key)

    def clear(self) -> None:
        """Forget every channel: what is remembered may be behind."""
        self._states.clear()


class MemoryFeed:
    """A feed in this process: whoever holds it is the writer."""

    def __init__(self, epoch: str = "memory") -> None:
        self._newest = Newest()
        self._on_shown: OnShown | None = None
        self._epoch = epoch
        self.available = True

    @property
    def epoch(self) -> str:
        """The epoch given at the start."""
        return self._epoch

    def put(self, key: str, shown: Shown) -> None:
        """Be the writer: publish a state."""
        if self._newest.take(key, shown) and self._on_shown is not None:
            self._on_shown(key, shown)

    def known(self, key: str) -> Shown | None:
        """Answer what was put last."""
        return self._newest.get(key)

    async def get(self, key: str) -> Shown:
        """Answer what was put last."""
        if not self.available:
            raise FeedUnavailable(key)
        shown = self._newest.get(key)
        if shown is None:
            raise UnknownChannel(key)
        return shown

    def watch(self, on_shown: OnShown) -> None:
        """Hear of every state put from now on."""
        self._on_shown = on_shown

    def interest(self, watched: Callable[[], list[str]]) -> None:
        """Nothing is lost in memory, so nothing has to be asked for again."""
