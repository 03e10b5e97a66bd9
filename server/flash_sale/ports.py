"""What the shop asks of the sales' writer."""

from typing import Protocol

import msgspec

from cells.kernel.errors import Rejected
from server.flash_sale.model import Answer, Command, Granted, HoldFound, Refusal, SaleFound

DEADLINE_MS = 5_000


class Sales(Protocol):
    """Asks the writer. Every command is safe to repeat."""

    async def ask(self, command: Command, deadline_ms: int = DEADLINE_MS) -> Answer:
        """Return the writer's answer; what it acknowledges is durable.

        Without one in time the answer is a `Refusal` with `outcome_unknown` (it may still happen),
        or `unavailable`, `overloaded` or `fenced` (it did not).
        """


def accepted(answer: Answer) -> Granted | HoldFound | SaleFound:
    """Return an answer that is no refusal; raise a refusal as `Rejected`."""
    if isinstance(answer, Refusal):
        raise Rejected(answer.code, answer.detail, retry_after_ms=answer.retry_after_ms)
    return answer


async def hold_of(sales: Sales, command: Command) -> HoldFound:
    """Ask about a hold. Raises `Rejected`."""
    answer = accepted(await sales.ask(command))
    if not isinstance(answer, HoldFound):
        msg = f"{type(command).__name__} was answered with {type(answer).__name__}"
        raise msgspec.ValidationError(msg)
    return answer
