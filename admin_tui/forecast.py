"""When a sale will be sold out, from what was taken of it in the last minute. PURE."""

from collections.abc import Sequence
from typing import Final

import msgspec

# The newest seconds count most: after so many seconds a second has half of its weight.
HALF_LIFE_S: Final = 12.0
FEWEST_UNITS: Final = 3


class Forecast(msgspec.Struct, frozen=True):
    """`rate`: units a second, the newest seconds counting most. `seconds` until nothing is left, between `soonest`
    (the best of the last minute goes on) and `latest` (the mean of the minute goes on); None: not in sight.
    """

    rate: float
    seconds: float | None = None
    soonest: float | None = None
    latest: float | None = None


def demand(taken: Sequence[int]) -> float:
    """Return units a second now; `taken` has one number a second, the oldest first."""
    weights = [0.5 ** (ago / HALF_LIFE_S) for ago in range(len(taken) - 1, -1, -1)]
    total = sum(weights)
    return sum(weight * units for weight, units in zip(weights, taken, strict=True)) / total if total else 0.0


def sold_out(available: int, taken: Sequence[int], *, is_open: bool = True) -> Forecast:
    """Return when `available` units will be gone. Nothing is foretold from less than three units in the minute."""
    rate = demand(taken)
    if available <= 0:
        return Forecast(rate, 0.0, 0.0, 0.0)
    if not is_open or sum(taken) < FEWEST_UNITS:
        return Forecast(rate)
    mean = sum(taken) / len(taken)
    best = max(_means(taken, 10))
    return Forecast(
        rate,
        available / rate if rate > 0 else None,
        available / max(best, rate),
        available / min(mean, rate) if min(mean, rate) > 0 else None,
    )


def sell_through(sold: int, stock: int) -> float:
    """Return the share of the stock that is sold."""
    return sold / stock if stock > 0 else 0.0


def _means(taken: Sequence[int], width: int) -> list[float]:
    """Return the means of all windows of `width` seconds, or the one mean where there are fewer."""
    if len(taken) <= width:
        return [sum(taken) / max(1, len(taken))]
    return [sum(taken[start : start + width]) / width for start in range(len(taken) - width + 1)]
