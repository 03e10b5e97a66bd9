"""Which orders and holds are wanted, and the sums over them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_tui.answers import HoldRow, OrderRow
from admin_tui.trade import STATES, TABS, BadWanted, Sums, Wanted, read, sums
from admin_tui.wire import Price

ids = st.sampled_from(("", "sal_1", "sal_2", "usr_1", "sale", "payment"))
wanted = st.sampled_from(TABS).flatmap(
    lambda tab: st.builds(Wanted, st.just(tab), ids, ids, st.sampled_from(("", *STATES[tab])))
)


@given(wanted, st.sampled_from(("", "vinyl", "-f usr 1", "sales")))
def test_what_is_wanted_is_read_from_how_it_is_typed(wanted, rest):
    assert read(f"{wanted} {rest}") == (wanted, rest)


@given(st.text())
def test_anything_is_wanted_or_is_explained(typed):
    with contextlib.suppress(BadWanted):
        read(typed)


@pytest.mark.parametrize("typed", ("", "rooms", "orders buyer", "holds status paid", "orders payment held"))
def test_what_names_no_list_is_explained(typed):
    with pytest.raises(BadWanted):
        read(typed)


def test_a_question_carries_what_is_wanted():
    assert Wanted("orders", "sal_1", "usr_1", "voided").params == {
        "sale": "sal_1",
        "buyer": "usr_1",
        "payment": "voided",
    }
    assert Wanted("holds", state="held").params == {"status": "held"}
    assert not Wanted("holds").is_narrowed


@pytest.mark.parametrize(
    ("wanted", "has"),
    (
        (Wanted(), True),
        (Wanted(sale="sal_1", buyer="usr_1", state="captured"), True),
        (Wanted(sale="sal_2"), False),
        (Wanted(buyer="usr_2"), False),
        (Wanted(state="voided"), False),
    ),
)
def test_a_row_is_wanted_when_it_has_all_of_it(wanted, has):
    row = OrderRow("ord_1", "hld_1", "sal_1", "usr_1", 1, [1], Price(), "captured")
    assert wanted.has(row) is has


def test_the_other_list_keeps_sale_and_buyer_but_not_the_state():
    assert Wanted("orders", "sal_1", "usr_1", "voided").other() == Wanted("holds", "sal_1", "usr_1")
    assert Wanted("holds").other() == Wanted("orders")


@pytest.mark.parametrize("tab", TABS)
def test_states_go_round(tab):
    seen, now = [], Wanted(tab)
    for _ in range(len(STATES[tab]) + 1):
        now = now.next_state()
        seen.append(now.state)
    assert seen == [*STATES[tab], ""]


def test_sums_are_by_currency_and_by_state():
    rows = [
        OrderRow("ord_1", quantity=2, amount=Price(500, "EUR"), payment="captured"),
        OrderRow("ord_2", quantity=1, amount=Price(250, "EUR"), payment="authorised"),
        OrderRow("ord_3", quantity=3, amount=Price(9000, "JPY"), payment="captured"),
        OrderRow("ord_4", quantity=1, amount=Price(1, "EUR"), payment="odd"),
    ]
    assert sums(rows) == Sums(4, 7, {"EUR": 751, "JPY": 9000}, {"authorised": 1, "captured": 2, "odd": 1})
    assert sums([HoldRow("hld_1", quantity=2, status="held")]) == Sums(1, 2, {}, {"held": 1})
    assert sums([]) == Sums(0, 0, {}, {})
