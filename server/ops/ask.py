"""The cell's observer as the api reaches it."""

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from cells.kernel.errors import Rejected
from server.ops.asks import (
    ASK_SECONDS,
    Answered,
    Ask,
    ask_subject,
    decode_answer,
    encode_ask,
)

_AWAY = (
    "No observer answers in this cell; it is what sees the cell as a whole, and its past. "
    "If it stays away: titan status, titan logs observer, titan restart observer."
)


class Observer:
    """Asks. Everything that it answers is JSON, ready to be sent."""

    def __init__(self, bus: Client, cell: str) -> None:
        self._bus = bus
        self._subject = ask_subject(cell)

    async def ask(self, question: Ask) -> bytes:
        """Return the JSON of the struct that the question names.

        Raises `Rejected` with what the observer declined it for, and unavailable when none answers in time.
        """
        try:
            message = await self._bus.request(self._subject, encode_ask(question), ASK_SECONDS)
        except NoRespondersError:
            raise Rejected("unavailable", _AWAY, retry_after_ms=1000) from None
        except (NatsError, TimeoutError, OSError):
            raise Rejected(
                "unavailable",
                f"The observer did not answer within {ASK_SECONDS:g} s. Ask again; if it stays so: titan logs observer.",
                retry_after_ms=1000,
            ) from None
        answer = decode_answer(message.data)
        if isinstance(answer, Answered):
            return answer.body
        raise Rejected(answer.code, answer.detail, retry_after_ms=answer.retry_after_ms)
