"""How a throttled sale grants holds: from a bucket of tokens that one second fills, by the times of its own events.

So in any t seconds it grants no more than `per_second * (t + 1)`. Only a hold that is granted takes a token; a
repeat and a refusal cost nothing. A bucket that goes on keeps what it has: throttling again is no way to fill it.
"""

from server.flash_sale.model import Refusal, Sale, SaleThrottled

HOLD = 1_000
"""Tokens that a hold costs. The bucket gains `per_second` a millisecond, all in whole numbers."""


def _tokens(sale: Sale, per_second: int, now: int) -> int:
    return min(per_second * HOLD, sale.tokens + (now - sale.tokens_at) * per_second)


def refusal(sale: Sale, per_second: int, now: int) -> Refusal | None:
    """Say how long a hold has to wait for a token; None when there is one."""
    missing = HOLD - _tokens(sale, per_second, now)
    if missing <= 0:
        return None
    return Refusal(
        "rate_limited",
        f"the sale grants {per_second} holds a second at the moment",
        -(-missing // per_second),
    )


def take(sale: Sale, per_second: int, at: int) -> None:
    """Pay for a hold that was granted, in place."""
    sale.tokens, sale.tokens_at = _tokens(sale, per_second, at) - HOLD, at


def turn(sale: Sale, event: SaleThrottled) -> None:
    """Set, change or lift the throttle, in place."""
    wanted = event.per_second
    if wanted is not None:
        full = wanted * HOLD
        sale.tokens = full if sale.throttle is None else min(full, _tokens(sale, sale.throttle, event.at))
        sale.tokens_at = event.at
    sale.throttle = wanted
