"""What operators are shown. All of it may be asked by viewers too.

What is marked with `at` and `position` can be asked as of any moment of the log; then the cell's observer answers
from a replay. The answer to a moment that lies far back may come while the replay is on its way there: its `target`
is then ahead of its `position`, and asking again takes it further.
"""

from typing import Annotated, cast

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from cells.kernel.errors import Rejected
from cells.kernel.ids import is_id
from server.ops import asks, read, rooms_http, words
from server.ops.ask import Observer
from server.ops.bodies import WhoAmI
from server.ops.parameters import (
    AUTH,
    After,
    Asked,
    At,
    AtPosition,
    BeforePosition,
    InState,
    OfBuyer,
    OfSale,
    OfType,
    PartOfId,
    SaleId,
    Subject,
    Text,
    WithPayment,
    WithStatus,
    for_,
)
from server.ops.rooms_http import Talk
from server.web import cursors
from server.web.body import JSON
from server.web.paging import MAX_POSITION, Cursor, Limit
from server.web.problem import refusals

VIEWER = for_("viewer")

LogPosition = Annotated[int, Parameter(ge=1, le=MAX_POSITION)]


def handlers(observer: Observer, talk: Talk, cell: str) -> tuple[HTTPRouteHandler, ...]:
    """Make the handlers."""
    return (
        _who(cell),
        *_cell(observer),
        *_sales(observer),
        _orders(observer),
        _holds(observer),
        *_log(observer),
        *rooms_http.handlers(observer, talk),
    )


def _shown(body: bytes) -> Response[bytes]:
    return Response(body, media_type=JSON)


def _who(cell: str) -> HTTPRouteHandler:
    @get("/api/v1/ops/whoami", responses=refusals(*AUTH), operation_id="opsWhoAmI", **VIEWER)
    async def who_am_i(request: Asked) -> WhoAmI:
        """Say whose key this is, what it may do, and which cell answers."""
        actor = request.user
        return WhoAmI(actor.id, actor.name, actor.role, cell)  # type: ignore[arg-type]  # the guard lets nobody else in

    return who_am_i


def _cell(observer: Observer) -> tuple[HTTPRouteHandler, ...]:
    @get("/api/v1/ops/cells", responses=refusals(*AUTH), operation_id="opsListCells", **VIEWER)
    async def list_cells() -> Response[words.Cells]:
        """Return each cell in one line."""
        return cast("Response[words.Cells]", _shown(await observer.ask(asks.AskCells())))

    @get("/api/v1/ops/frame", responses=refusals(*AUTH), operation_id="opsGetFrame", **VIEWER)
    async def get_frame(at: At = None, position: AtPosition = None) -> Response[words.Frame]:
        """Return the whole picture of the cell, now or as of a moment."""
        found = await observer.ask(asks.AskFrame(at=at, position=position))
        return cast("Response[words.Frame]", _shown(found))

    @get("/api/v1/ops/processes", responses=refusals(*AUTH), operation_id="opsListProcesses", **VIEWER)
    async def list_processes() -> Response[words.Processes]:
        """Return the processes of the cell."""
        return cast("Response[words.Processes]", _shown(await observer.ask(asks.AskProcesses())))

    @get("/api/v1/ops/health", responses=refusals(*AUTH), operation_id="opsGetHealth", **VIEWER)
    async def get_health() -> Response[words.Health]:
        """Say what is well with the cell and its machine, what is not, and what mends it."""
        return cast("Response[words.Health]", _shown(await observer.ask(asks.AskHealth())))

    return list_cells, get_frame, list_processes, get_health


def _sales(observer: Observer) -> tuple[HTTPRouteHandler, ...]:
    @get("/api/v1/ops/sales", responses=refusals(*AUTH), operation_id="opsListSales", **VIEWER)
    async def list_sales(
        at: At = None,
        position: AtPosition = None,
        in_state: InState = None,
        q: Text = "",
        limit: Limit = cursors.DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[words.Sales]:
        """Return sales of all merchants, drafts too: live ones first, then those that moved last."""
        question = asks.AskSales(
            at=at, position=position, state=in_state or "", q=q, limit=limit, cursor=cursor or ""
        )
        return cast("Response[words.Sales]", _shown(await observer.ask(question)))

    @get(
        "/api/v1/ops/sales/{sale_id:str}",
        responses=refusals(*AUTH, "not_found"),
        operation_id="opsGetSale",
        **VIEWER,
    )
    async def get_sale(
        sale_id: SaleId, at: At = None, position: AtPosition = None
    ) -> Response[words.SaleDetail]:
        """Return a sale and what was decided about it."""
        if not is_id("sal", sale_id):
            raise Rejected("not_found", "There is no such sale.")
        question = asks.AskSale(id=sale_id, at=at, position=position)
        return cast("Response[words.SaleDetail]", _shown(await observer.ask(question)))

    return list_sales, get_sale


def _orders(observer: Observer) -> HTTPRouteHandler:
    @get("/api/v1/ops/orders", responses=refusals(*AUTH), operation_id="opsListOrders", **VIEWER)
    async def list_orders(
        at: At = None,
        position: AtPosition = None,
        of_sale: OfSale = "",
        of_buyer: OfBuyer = "",
        payment: WithPayment = None,
        q: PartOfId = "",
        limit: Limit = cursors.DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[words.Orders]:
        """Return orders, the newest first. As of a moment: of the 1,000 that were the newest then."""
        if at is None and position is None:
            wanted = read.Wanted(of_sale, of_buyer, payment or "", q, limit, cursor)
            return Response(await read.orders(wanted))
        question = asks.AskOrders(
            at=at,
            position=position,
            sale=of_sale,
            buyer=of_buyer,
            payment=payment or "",
            q=q,
            limit=limit,
            cursor=cursor or "",
        )
        return cast("Response[words.Orders]", _shown(await observer.ask(question)))

    return list_orders


def _holds(observer: Observer) -> HTTPRouteHandler:
    @get("/api/v1/ops/holds", responses=refusals(*AUTH), operation_id="opsListHolds", **VIEWER)
    async def list_holds(
        at: At = None,
        position: AtPosition = None,
        of_sale: OfSale = "",
        of_buyer: OfBuyer = "",
        status: WithStatus = None,
        q: PartOfId = "",
        limit: Limit = cursors.DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[words.Holds]:
        """Return holds, the newest first. As of a moment: of the 1,000 that were the newest then."""
        if at is None and position is None:
            wanted = read.Wanted(of_sale, of_buyer, status or "", q, limit, cursor)
            return Response(await read.holds(wanted))
        question = asks.AskHolds(
            at=at,
            position=position,
            sale=of_sale,
            buyer=of_buyer,
            status=status or "",
            q=q,
            limit=limit,
            cursor=cursor or "",
        )
        return cast("Response[words.Holds]", _shown(await observer.ask(question)))

    return list_holds


def _log(observer: Observer) -> tuple[HTTPRouteHandler, ...]:
    @get("/api/v1/ops/log", responses=refusals(*AUTH), operation_id="opsListLog", **VIEWER)
    async def list_log(
        after: After = None,
        before: BeforePosition = None,
        limit: Limit = cursors.DEFAULT_LIMIT,
        subject: Subject = "",
        of_type: OfType = "",
    ) -> Response[words.Lines]:
        """Return a stretch of the log in its order: behind `after`, before `before`, or the newest."""
        if after is not None and before is not None:
            raise Rejected("bad_request", "Send after or before, not both.")
        question = asks.AskLines(after=after, before=before, limit=limit, subject=subject, type=of_type)
        return cast("Response[words.Lines]", _shown(await observer.ask(question)))

    @get(
        "/api/v1/ops/log/{log_position:int}",
        responses=refusals(*AUTH, "not_found"),
        operation_id="opsGetCommit",
        **VIEWER,
    )
    async def get_commit(log_position: LogPosition) -> Response[words.CommitDetail]:
        """Return one commit with all of its events, without what is secret."""
        return cast("Response[words.CommitDetail]", _shown(await observer.ask(asks.AskCommit(log_position))))

    return list_log, get_commit
