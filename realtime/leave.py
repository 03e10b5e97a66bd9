"""How long a hub that ends takes to send its clients away. PURE."""

from typing import Final

import msgspec

# A whole cell that stops gives its hub 2.6 s.
ALONE_MS: Final = 1_200
ALONE_SPREAD_MS: Final = 800
# Below the handshakes that the next hub takes, so that it also lets in who has never been here.
LEAVES_PER_SECOND: Final = 250
# For those who were turned away at first, and try again.
SLACK_MS: Final = 10_000


class Leave(msgspec.Struct, frozen=True):
    """Clients begin to leave within `spread_ms`; who is left after `deadline_ms` is closed."""

    deadline_ms: int
    spread_ms: int


def leave_of(connections: int, *, accompanied: bool) -> Leave:
    """Answer how to send clients away: with another hub beside, no faster than it can take them."""
    if not accompanied:
        return Leave(ALONE_MS, ALONE_SPREAD_MS)
    spread = max(ALONE_SPREAD_MS, connections * 1_000 // LEAVES_PER_SECOND)
    return Leave(spread + SLACK_MS, spread)
