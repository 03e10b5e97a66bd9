"""What all endpoints of a cell share."""

import asyncio
import random
from collections.abc import Callable

import msgspec

from cells.kernel.clock import Clock
from cells.log.port import Log
from server.notify.cursor import SAVE_SECONDS
from server.notify.egress import Egress
from server.notify.touched import Touched
from server.webhooks import letters
from server.webhooks.facts import Facts
from server.webhooks.signing import Secrets


class Delivering(msgspec.Struct, frozen=True):
    """What all endpoints of a cell share.

    `slots` bounds the requests that are under way in all, `reads` the pieces of the log that are being read.
    """

    log: Log
    egress: Egress
    secrets: Secrets
    facts: Facts
    touched: Touched
    clock: Clock
    slots: asyncio.Semaphore
    reads: asyncio.Semaphore
    chance: Callable[[], float] = random.random
    first_delay_ms: int = letters.FIRST_DELAY_MS
    longest_delay_ms: int = letters.LONGEST_DELAY_MS
    save_seconds: float = SAVE_SECONDS
