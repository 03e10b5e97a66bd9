"""Answers about the board: filters, pages and cursors."""

import pytest

from cells.kernel.errors import Rejected
from server.ops import answers, asks
from server.payments import model as p
from tests.unit.server.ops.written import SALE, T0, Written, confirmed, drafted, held, moved, said


def market() -> Written:
    """Three open sales, one killed, two drafts, in this order."""
    written = Written()
    for number in range(3):
        written.opened(f"sal_open{number}", 100)
    written.opened("sal_killed").sale(moved("killed"), key="sal_killed")
    for number in range(2):
        written.sale(drafted(f"sal_draft{number}", title=f"Boots {number}"), key=f"sal_draft{number}")
    return written


def ids(page) -> list[str]:
    return [row.id for row in page.items]


def sales(written: Written, **how):
    return answers.sales(written.board().state, asks.AskSales(**how), T0, None)


def test_live_sales_come_first_then_the_newest_moved():
    assert ids(sales(market())) == [
        *("sal_open2", "sal_open1", "sal_open0"),
        *("sal_draft1", "sal_draft0", "sal_killed"),
    ]


@pytest.mark.parametrize(
    ("how", "found"),
    (
        ({"state": "killed"}, ["sal_killed"]),
        ({"q": "BOOTS 1"}, ["sal_draft1"]),
        ({"q": "open0"}, ["sal_open0"]),
        ({"q": "mer_m", "state": "draft"}, ["sal_draft1", "sal_draft0"]),
        ({"q": "nothing"}, []),
        ({"state": "nonsense"}, []),
    ),
)
def test_sales_are_found_by_state_and_by_parts_of_names(how, found):
    assert ids(sales(market(), **how)) == found


@pytest.mark.parametrize("limit", (1, 2, 4, 6, 7))
def test_pages_of_sales_give_each_of_them_once(limit):
    written, seen, cursor = market(), [], ""
    for _ in range(9):
        page = sales(written, limit=limit, cursor=cursor)
        seen += ids(page)
        cursor = page.next or ""
        if not cursor:
            break

    assert seen == ids(sales(written))


def test_a_sale_that_moves_between_two_pages_takes_none_of_the_others_away():
    written = market()
    first = sales(written, limit=2)
    written.sale(moved("paused"), key="sal_open0")

    assert ids(sales(written, cursor=first.next)) == ["sal_draft1", "sal_draft0", "sal_killed"]


@pytest.mark.parametrize("cursor", ("x", "1", "1.x.y", "..", "é"))
def test_a_cursor_that_no_page_had_is_refused(cursor):
    with pytest.raises(Rejected) as refused:
        sales(market(), cursor=cursor)
    assert refused.value.code == "bad_request"


@pytest.mark.parametrize("how", ({"q": "x" * 201}, {"cursor": "x" * 201}, {"state": "x" * 201}))
def test_filters_have_an_end(how):
    with pytest.raises(Rejected) as refused:
        sales(market(), **how)
    assert refused.value.code == "bad_request"


def test_one_sale_with_its_changes():
    detail = answers.sale(market().board().state, asks.AskSale(id="sal_killed"), T0, 99)

    assert (detail.sale.state, detail.position, detail.target) == ("killed", 11, 99)
    assert [move.what for move in detail.moves] == ["kill", "open", "arm"]


def test_a_sale_that_is_not_there_yet():
    with pytest.raises(Rejected) as refused:
        answers.sale(Written().board().state, asks.AskSale(id=SALE), T0, None)
    assert refused.value.code == "not_found"


# --- orders and holds ----------------------------------------------------------------------------------------------


def trade() -> Written:
    """Nine holds, three a commit; every second becomes an order."""
    written = Written().opened("sal_a", 100).opened("sal_b", 100)
    for first in (1, 4, 7):
        numbers = range(first, first + 3)
        key = "sal_a" if first < 7 else "sal_b"
        written.sale(*(held(f"h{n}", n, buyer=f"usr_{n % 2}") for n in numbers), key=key)
    written.pay("h2", p.PaymentAuthorised(1, "r", T0), p.PaymentCaptured(1, T0))
    written.sale(confirmed("h2"), confirmed("h4"), key="sal_a")
    return written.sale(confirmed("h8"), key="sal_b")


def holds(written: Written, **how):
    return answers.holds(written.board().state, asks.AskHolds(**how), None)


def orders(written: Written, **how):
    return answers.orders(written.board().state, asks.AskOrders(**how), None)


def test_the_newest_come_first():
    assert ids(holds(trade())) == [f"h{n}" for n in range(9, 0, -1)]
    assert ids(orders(trade())) == ["ord_h8", "ord_h4", "ord_h2"]


@pytest.mark.parametrize(
    ("how", "found"),
    (
        ({"sale": "sal_b"}, ["h9", "h8", "h7"]),
        ({"buyer": "usr_0", "sale": "sal_a"}, ["h6", "h4", "h2"]),
        ({"status": "confirmed"}, ["h8", "h4", "h2"]),
        ({"status": "expired"}, []),
        ({"q": "H3"}, ["h3"]),
    ),
)
def test_holds_are_found(how, found):
    assert ids(holds(trade(), **how)) == found


@pytest.mark.parametrize(
    ("how", "found"),
    (
        ({"payment": "captured"}, ["ord_h2"]),
        ({"payment": "authorised"}, ["ord_h8", "ord_h4"]),
        ({"q": "h4"}, ["ord_h4"]),
        ({"sale": "sal_b"}, ["ord_h8"]),
    ),
)
def test_orders_are_found(how, found):
    assert ids(orders(trade(), **how)) == found


@pytest.mark.parametrize("limit", (1, 2, 3, 5, 9))
def test_pages_of_holds_give_each_of_them_once(limit):
    written, seen, cursor = trade(), [], ""
    for _ in range(9):
        page = holds(written, limit=limit, cursor=cursor)
        seen += ids(page)
        cursor = page.next or ""
        if not cursor:
            break

    assert seen == [f"h{n}" for n in range(9, 0, -1)]


def test_the_next_page_is_the_next_one_although_more_came():
    written = trade()
    first = holds(written, limit=4)
    written.sale(held("h10", 10), key="sal_a")

    assert ids(holds(written, cursor=first.next)) == ["h5", "h4", "h3", "h2", "h1"]


@pytest.mark.parametrize("limit", (-5, 0))
def test_a_page_has_at_least_one_row(limit):
    assert len(holds(trade(), limit=limit).items) == 1


def test_a_cursor_of_something_else_is_refused():
    with pytest.raises(Rejected):
        orders(trade(), cursor="nonsense")


# --- rooms ---------------------------------------------------------------------------------------------------------


def test_rooms_and_what_is_said_in_them():
    written = Written().opened().room(said("m1"), said("m2"), said("m3", at=T0 + 1)).opened("sal_2")
    board = written.room(said("n1", at=T0 + 9), key="sal_2").board().state

    assert ids(answers.rooms(board, asks.AskRooms(), T0, None)) == ["sal_2", SALE]
    newest = answers.messages(board, asks.AskMessages(room=SALE, limit=2), None)
    assert ids(newest) == ["m3", "m2"]
    older = answers.messages(board, asks.AskMessages(room=SALE, before=newest.items[-1].s), None)
    assert ids(older) == ["m1"]


def test_a_sale_where_nobody_spoke_has_an_empty_room_and_no_sale_has_none():
    board = Written().opened().board().state

    assert answers.messages(board, asks.AskMessages(room=SALE), None).items == []
    with pytest.raises(Rejected):
        answers.messages(board, asks.AskMessages(room="sal_none"), None)
