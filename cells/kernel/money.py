"""Money in minor units. Never a float."""

from typing import Annotated

import msgspec

MAX_AMOUNT = 10**12

_DIGITS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
"""Digits behind the point of the major unit, by ISO 4217; of all others 2."""

Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT, description="minor units (cents)")]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", max_length=3, description="ISO 4217 code")]


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount of one currency, in its minor unit."""

    amount: Amount
    currency: Currency

    def times(self, quantity: int) -> "Money":
        """Return the price of `quantity` units."""
        return Money(self.amount * quantity, self.currency)


def shown(amount: int, currency: str) -> str:
    """Return an amount in major units, with as many digits as the currency has."""
    digits = _DIGITS.get(currency, 2)
    return f"{amount / 10**digits:,.{digits}f} {currency}"
