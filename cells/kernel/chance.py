"""Where shells take chance from; the rules get it as an argument."""

import os

from cells.kernel import ids
from cells.kernel.clock import Clock

_AT_ONCE = 4096

_pool = memoryview(b"")
_pool_of = 0


def _entropy() -> bytes:
    """Take from a block of the system's random bytes: asking for each few would be a system call each.

    A forked child must not repeat its parent's identifiers, so a block belongs to one process.
    """
    global _pool, _pool_of
    if len(_pool) < ids.ENTROPY_BYTES or _pool_of != os.getpid():
        _pool, _pool_of = memoryview(os.urandom(_AT_ONCE)), os.getpid()
    taken, _pool = _pool[: ids.ENTROPY_BYTES], _pool[ids.ENTROPY_BYTES :]
    return bytes(taken)


def fresh(prefix: str, slot: int, clock: Clock) -> str:
    """Make a new identifier in a slot from the clock and the system's random source."""
    return ids.new_id(prefix, slot, clock.now(), _entropy())
