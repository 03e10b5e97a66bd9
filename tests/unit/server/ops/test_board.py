"""The board: what commits of sales, payments and rooms come to."""

import msgspec
import pytest

from cells.log.port import Stored
from server.chat import model as chat
from server.flash_sale import model as m
from server.ops import rows, state
from server.ops.board import Board
from server.payments import model as p
from tests.unit.server.ops.written import (
    BUYER,
    MERCHANT,
    REGISTRIES,
    SALE,
    T0,
    Written,
    confirmed,
    drafted,
    held,
    moved,
    said,
)

BY = chat.By("opr_1", "operator", "spam")


def sale_of(written: Written, key: str = SALE, at: int = T0):
    return rows.sale_row(key, written.board().state.sales[key], at)


def counts(row):
    return row.available, row.held, row.sold, row.holds, row.orders, row.released, row.expired


# --- sales ---------------------------------------------------------------------------------------------------------


def test_a_drafted_sale_is_shown_as_its_merchant_described_it():
    row = sale_of(Written().sale(drafted()))

    assert (row.title, row.state, row.price.amount, row.price.currency) == ("Sneakers", "draft", 4990, "EUR")
    assert (row.merchant_id, row.product_id, row.stock, row.revision) == (MERCHANT, "prd_1", 10, 0)
    assert counts(row) == (10, 0, 0, 0, 0, 0, 0)


def test_steps_and_throttles_count_as_revisions_and_are_kept_with_who_and_why():
    written = Written().opened().sale(moved("paused", "opr_1", "look", T0 + 5, "ada"))
    written.sale(m.SaleThrottled(50, "opr_1", "slow", T0 + 6)).sale(moved("open", "opr_1"))
    row = sale_of(written)

    assert (row.state, row.revision, row.throttle, row.moved_by) == ("open", 5, 50, "opr_1")
    moves = rows.moves(written.board().state.sales[SALE])
    assert [move.what for move in moves] == ["resume", "throttle", "pause", "open", "arm"]
    assert (moves[2].by, moves[2].name, moves[2].reason, moves[2].at) == ("opr_1", "ada", "look", T0 + 5)
    assert (moves[1].throttle, moves[1].position) == (50, 4)


def test_units_go_from_available_to_held_to_sold():
    written = Written().opened().sale(held("h1", 1, 2), held("h2", 3)).sale(confirmed("h1"))

    assert counts(sale_of(written)) == (7, 1, 2, 2, 1, 0, 0)


@pytest.mark.parametrize(
    ("event", "released", "expired"), ((m.HoldReleased("h1", T0), 1, 0), (m.HoldExpired("h1", T0), 0, 1))
)
def test_units_of_a_hold_that_ends_come_back(event, released, expired):
    row = sale_of(Written().opened().sale(held("h1", 1, 2)).sale(event))

    assert counts(row) == (10, 0, 0, 1, 0, released, expired)


def test_a_killed_sale_gives_every_hold_back_and_keeps_its_orders():
    written = Written().opened().sale(held("h1", 1), held("h2", 2), held("h3", 3), confirmed("h2"))
    written.sale(moved("killed", "opr_1", "fraud", T0 + 9))

    assert counts(sale_of(written)) == (9, 0, 1, 3, 1, 2, 0)
    holds = {i: (h.status, h.settled_at) for i, h in rows.newest_holds(written.board().state)}
    assert holds == {"h1": ("released", T0 + 9), "h2": ("confirmed", T0), "h3": ("released", T0 + 9)}


def test_a_unit_that_two_have_is_noticed_with_its_time():
    written = Written().opened().sale(held("h1", 1, 2)).sale(held("h2", 2, 3, at=T0 + 7))

    assert sale_of(written).duplicate_units == 1
    assert written.board().state.sales[SALE].over_since == T0 + 7


def test_a_unit_is_free_again_only_when_all_who_have_it_gave_it_back():
    written = Written().opened().sale(held("h1", 1), held("h2", 1), m.HoldReleased("h2", T0), held("h3", 1))

    assert sale_of(written).duplicate_units == 2


def test_units_beyond_the_stock_are_oversold_and_nobodys_to_give():
    row = sale_of(Written().opened(stock=2).sale(held("h1", 1, 2), held("h2", 3)))

    assert (row.oversold, row.duplicate_units) == (1, 1)


def test_a_sale_that_is_over_has_nothing_to_give():
    written = Written().opened().sale(held("h1", 1), confirmed("h1")).sale(moved("ended"))
    assert written.board().state.sales[SALE].closed

    assert sale_of(written.sale(held("h2", 5))).duplicate_units == 1


def test_an_ended_sale_remembers_who_has_what_until_the_last_hold_is_settled():
    written = Written().opened().sale(held("h1", 1)).sale(moved("ended"))
    assert not written.board().state.sales[SALE].closed

    assert written.sale(m.HoldExpired("h1", T0)).board().state.sales[SALE].closed


def test_what_was_granted_is_shown_by_the_second():
    written = Written().opened().sale(held("h1", 1, 2)).sale(held("h2", 3, at=T0 + 3_000))
    taken = sale_of(written, at=T0 + 4_000).taken

    assert (len(taken), taken[-4:]) == (60, [2, 0, 0, 1])
    assert sale_of(written, at=T0 + 70_000).taken == []


def test_sales_to_look_at_come_first():
    written = Written().opened("sal_a").opened("sal_b").sale(drafted("sal_c"), key="sal_c")
    written.sale(moved("killed"), key="sal_b").sale(moved("paused"), key="sal_a")

    assert [key for key, _ in rows.first_sales(written.board().state, 9)] == ["sal_a", "sal_b", "sal_c"]


def test_a_sale_that_was_just_ended_is_looked_at_beside_any_number_of_live_ones():
    written = Written().opened("sal_gone").opened("sal_ended")
    written.sale(moved("ended"), key="sal_gone")
    for number in range(12):
        written.opened(f"sal_{number:02}")
    written.sale(moved("ended"), key="sal_ended")
    shown = [key for key, _ in rows.first_sales(written.board().state, 10)]

    assert shown == [*(f"sal_{number:02}" for number in range(11, 2, -1)), "sal_ended"]


# --- holds, orders, payments ---------------------------------------------------------------------------------------


def test_an_order_costs_what_its_units_cost_and_follows_its_payment():
    written = Written().opened().sale(held("h1", 4, 7))
    written.pay("h1", p.PaymentAuthorised(1, "r", T0)).sale(confirmed("h1", T0 + 3))
    ((hold_id, order),) = rows.newest_orders(written.board().state)
    row = rows.order_row(hold_id, order)

    assert (row.id, row.sale_id, row.buyer_id) == ("ord_h1", SALE, BUYER)
    assert (row.quantity, row.units, row.amount.amount, row.at) == (2, [4, 7], 9980, T0 + 3)
    assert row.payment == "authorised"
    assert written.pay("h1", p.PaymentCaptured(1, T0)).board().state.orders["h1"].payment == "captured"


def test_the_newest_holds_are_shown_and_held_ones_are_never_forgotten():
    written = Written().opened(stock=10_000).sale(held("old", 1))
    for number in range(2, 3_000):
        written.sale(held(f"h{number}", number), m.HoldExpired(f"h{number}", T0))
    board = written.board()
    newest = list(rows.newest_holds(board.state))

    assert (len(newest), newest[0][0]) == (state.HOLDS, "h2999")
    assert board.state.holds["old"].status == "held"
    assert len(board.state.holds) <= 2 * state.HOLDS + 1
    assert sale_of(written.sale(m.HoldReleased("old", T0))).held == 0
    assert "old" not in written.board().state.holds


def test_the_newest_orders_are_shown():
    written = Written().opened(stock=10_000)
    for number in range(1, 2_500):
        written.sale(held(f"h{number}", number), confirmed(f"h{number}"))
    newest = list(rows.newest_orders(written.board().state))

    assert (len(newest), newest[0][0], newest[-1][0]) == (state.ORDERS, "h2499", "h1500")


def test_a_page_with_many_units_on_it_ends_early():
    written = Written().opened(stock=100_000)
    for number in range(30):
        written.sale(held(f"h{number}", *range(1 + number * 1_000, 1 + number * 1_000 + 1_000)))
    shown = [rows.hold_row(*each) for each in rows.newest_holds(written.board().state)]
    page, more = rows.paged(shown, 200)

    assert (len(page), more) == (21, True)


# --- rooms ---------------------------------------------------------------------------------------------------------


def test_a_room_shows_what_was_said_in_it_newest_first():
    written = Written().opened().room(said("m1"), said("m2", "there", T0 + 2_000))
    room = written.board().state.rooms[SALE]
    newest = rows.message_rows(SALE, room, None, 10)

    assert [(m.id, m.s, m.text) for m in newest] == [("m2", 3 * 1024 + 1, "there"), ("m1", 3 * 1024, "hi")]
    assert [m.id for m in rows.message_rows(SALE, room, 3 * 1024 + 1, 10)] == ["m1"]
    row = rows.room_row(written.board().state, SALE, room, T0 + 10_000)
    assert (row.title, row.messages, row.rate_60s, row.last_at) == ("Sneakers", 2, 2, T0 + 2_000)


def test_moderation_is_shown_and_the_text_of_a_deleted_message_is_gone():
    written = Written().room(said("m1", "rude"), said("m2"))
    written.room(chat.MessageDeleted("m1", BY, T0), chat.MemberMuted("usr_x", T0 + 60_000, BY, T0))
    written.room(chat.MemberBanned("usr_y", BY, T0), chat.SlowModeSet(5, BY, T0), chat.RoomLocked(BY, T0))
    board = written.board()
    row = rows.room_row(board.state, SALE, board.state.rooms[SALE], T0 + 1)

    assert (row.messages, row.deleted, row.muted, row.banned) == (2, 1, 1, 1)
    assert (row.slow_ms, row.locked) == (5_000, True)
    assert rows.room_row(board.state, SALE, board.state.rooms[SALE], T0 + 60_000).muted == 0
    texts = [(m.text, m.deleted) for m in rows.message_rows(SALE, board.state.rooms[SALE], None, 9)]
    assert texts == [("hi", False), ("", True)]


def test_of_conversations_nothing_but_their_number_is_kept():
    board = Written().commit("cnv", "cnv_1", said("m1", "a secret")).board()

    assert (board.state.messages, board.state.rooms) == (1, {})
    assert rows.totals(board.state, 0).messages == 1


def test_rooms_together_keep_a_limited_number_of_messages():
    written = Written()
    for number in range(150):
        written.room(*(said(f"m{number}-{i}", at=T0 + number) for i in range(100)), key=f"sal_{number}")
    board = written.board()

    assert board.state.kept_messages == sum(len(room.newest) for room in board.state.rooms.values())
    assert board.state.kept_messages <= state.MAX_MESSAGES
    assert len(board.state.rooms["sal_149"].newest) == 100
    assert board.state.rooms["sal_0"].newest == []
    assert board.state.rooms["sal_0"].messages == 100


# --- the whole -----------------------------------------------------------------------------------------------------


def test_series_count_by_the_time_of_the_commits():
    written = Written().opened().sale(held("h1", 1), held("h2", 2)).later(1_000)
    written.sale(confirmed("h1", T0 + 1_000), m.HoldReleased("h2", T0 + 1_000)).room(said("m1"))
    found = {s.name: s.history[-2:] for s in rows.log_series(written.board().state, T0 + 2_000)}

    assert found["holds"] == [2, 0]
    assert found["orders"] == found["released"] == found["messages"] == [0, 1]
    assert found["commits"] == [3, 2]
    assert {len(s.history) for s in rows.log_series(written.board().state, T0)} == {60}


def test_a_commit_that_is_in_the_board_already_changes_nothing():
    written = Written().opened().sale(held("h1", 1))
    board = written.board()
    before = board.snapshot()
    board.apply(written.log)

    assert board.snapshot() == before


def test_a_log_whose_beginning_is_archived_is_folded_as_far_as_it_goes():
    written = Written(first=500).sale(confirmed("h1")).sale(moved("paused")).opened("sal_2")
    board = written.board()

    assert (board.state.first, board.position, board.state.missing) == (500, 503, 0)
    assert list(board.state.sales) == ["sal_2"]


def test_positions_that_are_not_there_are_counted():
    written = Written().opened().sale(held("h1", 1))
    board = Board(REGISTRIES)
    board.apply([written.log[0], written.log[2]])

    assert (board.position, board.state.missing) == (3, 1)


@pytest.mark.parametrize(
    ("subject", "body"),
    (
        ("log.007.sale.sal_1", b"\xff\x00 no commit"),
        ("log.007.sale.sal_1", b""),
        ("log.007.weather.w1", msgspec.msgpack.encode([1, T0, bytes(32), [["Rained", 1, [3]]]])),
        ("log.007.sale.sal_1", msgspec.msgpack.encode([9, T0, bytes(32), [["SaleMoved", 7, ["open"]]]])),
        ("log.007.sale.sal_1", msgspec.msgpack.encode([9, T0, bytes(32), [["UnitsHeld", 1, ["x"]]]])),
        ("log.007.sale.sal_1", msgspec.msgpack.encode([9, -(2**63), bytes(32), [["Nonsense", 1, 0]]])),
        ("log.zzz.sale.sal_1", msgspec.msgpack.encode([9, 2**63, bytes(32), [["Nonsense", 1, 0]]])),
        ("log.odd", msgspec.msgpack.encode([1, T0, bytes(32), [["Odd", 1, []]]])),
    ),
)
def test_what_a_newer_release_or_an_enemy_wrote_is_counted_and_changes_nothing(subject, body):
    written = Written().opened().raw(subject, body).sale(held("h1", 1))
    board = written.board()

    assert (board.state.unknown, board.state.commits, board.at) == (1, 4, T0)
    assert counts(sale_of(written)) == (9, 1, 0, 1, 0, 0, 0)


def test_known_events_beside_an_unknown_one_count():
    odd = msgspec.msgpack.encode([3, T0, bytes(32), [["Later", 1, []], ["HoldExpired", 1, ["h1", T0]]]])
    row = sale_of(Written().opened().sale(held("h1", 1)).raw(f"log.007.sale.{SALE}", odd))

    assert (row.held, row.expired) == (0, 1)


def test_the_newest_commits_are_kept_whole():
    written = Written().opened(stock=5_000)
    for number in range(1, 1_000, 2):
        written.sale(held(f"h{number}", number), held(f"h{number + 1}", number + 1))
    kept = written.board().state.newest

    assert len(kept) == state.LINES // 2
    assert [each.position for each in kept] == list(range(403, 503))
    assert Stored(kept[-1].position, kept[-1].subject, kept[-1].body) == written.log[-1]


def test_sales_that_are_over_leave_when_there_are_too_many_and_still_count(monkeypatch):
    monkeypatch.setattr("server.ops.fold_sales.MAX_SALES", 20)
    written = Written().opened("sal_open")
    for number in range(40):
        written.opened(f"sal_{number}").sale(
            held(f"h{number}", 1), confirmed(f"h{number}"), key=f"sal_{number}"
        )
        written.sale(moved("ended"), key=f"sal_{number}")
    board = written.board()
    totals = rows.totals(board.state, 0)

    assert len(board.state.sales) <= 22
    assert "sal_open" in board.state.sales
    assert "sal_39" in board.state.sales
    assert (totals.sales, totals.open, totals.ended, totals.orders, totals.sold) == (41, 1, 40, 40, 40)
    assert (totals.stock, totals.available) == (410, 370)
