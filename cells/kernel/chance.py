"""Where shells take chance from; the rules get it as an argument."""

import os

from cells.kernel import ids
from cells.kernel.clock import Clock


def fresh(prefix: str, slot: int, clock: Clock) -> str:
    """Make a new identifier in a slot from the clock and the system's random source."""
    return ids.new_id(prefix, slot, clock.now(), os.urandom(ids.ENTROPY_BYTES))
