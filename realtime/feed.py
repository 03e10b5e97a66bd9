"""Where the hub learns of sales: the port, what both adapters share, and the one in memory."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from realtime.views import SaleView

REMEMBERED_SALES: Final = 4_096


class UnknownSale(Exception):  # noqa: N818 - an answer, not a fault
    """There is no such sale."""


class FeedUnavailable(Exception):  # noqa: N818 - a state, not a fault of the caller
    """Nobody answered within the deadline; whether the sale exists is not known."""


class SaleFeed(Protocol):
    """Views of sales, newest wins. Views given out for a sale never go back in position."""

    @property
    def epoch(self) -> str:
        """The incarnation of the log that positions count in."""

    def known(self, sale_id: str) -> SaleView | None:
        """Answer the newest view if it is at hand."""

    async def get(self, sale_id: str) -> SaleView:
        """Answer the newest view. Raises UnknownSale or FeedUnavailable, within 2 s."""

    def watch(self, on_view: Callable[[SaleView], None]) -> None:
        """Call `on_view` with every view that is newer than those before it of the same sale."""

    def interest(self, watched: Callable[[], list[str]]) -> None:
        """Keep the sales that `watched` lists up to date, whatever messages were lost."""


class Newest:
    """The newest view of each sale, so far as remembered."""

    def __init__(self, limit: int = REMEMBERED_SALES) -> None:
        self._limit = limit
        # Full policy: the sale heard of longest ago is forgotten, and asked for when it is wanted.
        self._views: OrderedDict[str, SaleView] = OrderedDict()

    def take(self, view: SaleView) -> bool:
        """Remember the view; False when one as new is known."""
        known = self._views.get(view.id)
        if known is not None and view.position <= known.position:
            return False
        self._views[view.id] = view
        self._views.move_to_end(view.id)
        if len(self._views) > self._limit:
            self._views.popitem(last=False)
        return True

    def get(self, sale_id: str) -> SaleView | None:
        """Answer the newest view, if the sale is remembered."""
        return self._views.get(sale_id)

    def clear(self) -> None:
        """Forget every sale: what is remembered may be behind."""
        self._views.clear()


class MemoryFeed:
    """A feed in this process: whoever holds it is the writer."""

    def __init__(self, epoch: str = "memory") -> None:
        self._newest = Newest()
        self._on_view: Callable[[SaleView], None] | None = None
        self._epoch = epoch
        self.available = True

    @property
    def epoch(self) -> str:
        """The epoch given at the start."""
        return self._epoch

    def put(self, view: SaleView) -> None:
        """Be the writer: publish a state."""
        if self._newest.take(view) and self._on_view is not None:
            self._on_view(view)

    def known(self, sale_id: str) -> SaleView | None:
        """Answer what was put last."""
        return self._newest.get(sale_id)

    async def get(self, sale_id: str) -> SaleView:
        """Answer what was put last."""
        if not self.available:
            raise FeedUnavailable(sale_id)
        view = self._newest.get(sale_id)
        if view is None:
            raise UnknownSale(sale_id)
        return view

    def watch(self, on_view: Callable[[SaleView], None]) -> None:
        """Hear of every state put from now on."""
        self._on_view = on_view

    def interest(self, watched: Callable[[], list[str]]) -> None:
        """Nothing is lost in memory, so nothing has to be asked for again."""
