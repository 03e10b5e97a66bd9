"""Amounts as people read them."""

import pytest

from cells.kernel.money import Money, shown


@pytest.mark.parametrize(
    ("money", "text"),
    (
        (Money(4990, "EUR"), "49.90 EUR"),
        (Money(5, "USD"), "0.05 USD"),
        (Money(1_234_567, "JPY"), "1,234,567 JPY"),
        (Money(1_234_567, "KWD"), "1,234.567 KWD"),
        (Money(10**12, "XXX"), "10,000,000,000.00 XXX"),
    ),
)
def test_an_amount_has_the_digits_of_its_currency(money, text):
    assert shown(money.amount, money.currency) == text
