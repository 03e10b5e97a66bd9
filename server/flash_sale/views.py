"""The sales as this process last heard of them from the writer: what shoppers see, and what refuses them early."""

import asyncio
import contextlib
from collections import OrderedDict

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from cells.kernel.errors import Rejected
from server.flash_sale.showing import SaleView, ShownSale
from server.flash_sale.wire import sale_get_subject, sale_subject

KEPT = 10_000
ASK_SECONDS = 2.0

_decode = msgspec.msgpack.Decoder(ShownSale).decode
_decode_answer = msgspec.msgpack.Decoder(ShownSale | None).decode


class SaleViews:
    """Newest view of each sale, fed by the writer. It shows a change before it answers the command that made it."""

    def __init__(self, client: Client, cell: str) -> None:
        self._client = client
        self._cell = cell
        self._views: OrderedDict[str, SaleView] = OrderedDict()
        self._asking: dict[str, asyncio.Task[SaleView | None]] = {}
        self._looking: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen."""
        await self._client.subscribe(sale_subject(self._cell, "*"), cb=self._on_view)

    def version(self, sale_id: str) -> int:
        """Return the newest version heard of; 0 when nothing was."""
        view = self._views.get(sale_id)
        return view.version if view is not None else 0

    def peek(self, sale_id: str) -> SaleView | None:
        """Return what is known here, without asking."""
        return self._views.get(sale_id)

    def forget(self) -> None:
        """Drop everything: changes may have been missed, as after a reconnect."""
        self._views.clear()

    async def get(self, sale_id: str) -> SaleView | None:
        """Return the sale, asking the writer for one that was not heard of; None when there is none.

        Raises `Rejected` (unavailable) when the writer does not answer.
        """
        known = self._views.get(sale_id)
        if known is not None:
            return known
        asking = self._asking.get(sale_id)
        if asking is None:
            asking = asyncio.create_task(self._ask(sale_id))
            self._asking[sale_id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(sale_id, None))
        return await asyncio.shield(asking)

    def look_up(self, sale_id: str) -> None:
        """See to it that something is heard of a sale, soon and without anybody waiting for it."""
        if sale_id not in self._asking:
            looking = asyncio.create_task(self._looked_up(sale_id))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)

    async def _looked_up(self, sale_id: str) -> None:
        with contextlib.suppress(Rejected):
            await self.get(sale_id)

    async def _ask(self, sale_id: str) -> SaleView | None:
        try:
            answer = await self._client.request(sale_get_subject(self._cell), sale_id.encode(), ASK_SECONDS)
        except NoRespondersError:
            raise Rejected(
                "unavailable", "No writer leads this cell at the moment.", retry_after_ms=500
            ) from None
        except (NatsError, TimeoutError, OSError):
            raise Rejected("unavailable", "The writer does not answer.", retry_after_ms=500) from None
        if not answer.data:
            raise Rejected("unavailable", "The writer cannot tell at the moment.", retry_after_ms=500)
        shown: ShownSale | None = _decode_answer(answer.data)
        if shown is None:
            return None
        self._take(shown.view)
        return shown.view

    def _take(self, view: SaleView) -> None:
        known = self._views.get(view.id)
        if known is None or known.version <= view.version:
            self._views[view.id] = view
            self._views.move_to_end(view.id)
            if len(self._views) > KEPT:
                self._views.popitem(last=False)

    async def _on_view(self, message: Msg) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            self._take(_decode(message.data).view)
