"""Orders and payments out of commits."""

from cells.engine.project import Recorded
from server.flash_sale.model import HoldConfirmed, HoldReleased
from server.orders.fold import Placed, fold
from server.payments.model import PaymentAuthorised, PaymentCaptured, PaymentDeclined


def commit(position: int, kind: str, key: str, *events: object) -> Recorded:
    return Recorded(position, f"log.001.{kind}.{key}", 1, kind, key, 1, 5, list(events))


def test_a_confirmed_hold_is_an_order_and_nothing_else_is():
    found = fold(
        [commit(3, "sale", "sal_1", HoldReleased("hld_1", 7), HoldConfirmed("hld_2", "ord_2", "pay_2", 8))]
    )
    assert found.placed == [Placed("ord_2", "hld_2", "pay_2", 8, 3)]
    assert found.payments == {}


def test_the_last_word_on_a_payment_counts():
    found = fold(
        [
            commit(1, "pay", "hld_1", PaymentDeclined(1, "no", 1)),
            commit(2, "pay", "hld_1", PaymentAuthorised(2, "ref", 2), PaymentCaptured(2, 3)),
            commit(3, "pay", "hld_2", PaymentAuthorised(1, "ref", 3)),
        ]
    )
    assert found.payments == {"hld_1": ("captured", 2), "hld_2": ("authorised", 3)}
