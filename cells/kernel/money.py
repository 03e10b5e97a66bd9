"""Money in minor units. Never a float."""

from typing import Annotated

import msgspec

MAX_AMOUNT = 10**12

Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT, description="minor units (cents)")]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", max_length=3, description="ISO 4217 code")]


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount of one currency, in its minor unit."""

    amount: Amount
    currency: Currency

    def times(self, quantity: int) -> "Money":
        """Return the price of `quantity` units."""
        return Money(self.amount * quantity, self.currency)
