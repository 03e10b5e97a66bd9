"""What is asked of a cell's observer, and what it answers: msgpack on `cell.<cell>.ops.ask`.

Asking changes nothing and may be repeated. Where a question has `at` or `position`, either takes it to a moment of
the log: `at` is a time in epoch milliseconds, `position` wins, and with neither the answer is about now. An answer as
of a moment may come before the replay got there; then its `target` is ahead of its `position`, and asking again takes
it further.
"""

from typing import Final

import msgspec

QUEUE: Final = "ops"
ASK_SECONDS: Final = 2.0
"""How long to wait for an answer before the observer counts as away."""

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_TEXT: Final = 200
"""Characters of a filter, a cursor or a pattern. What is longer is declined."""


def ask_subject(cell: str) -> str:
    """Return where questions are sent."""
    return f"cell.{cell}.ops.ask"


def frame_subject(cell: str) -> str:
    """Return where the live frame is published, as msgpack `[position, json bytes]`."""
    return f"cell.{cell}.ops.frame"


# --- questions -----------------------------------------------------------------------------------------------------


class Question(msgspec.Struct, frozen=True, tag_field="ask"):
    """What may be asked."""


class Moment(Question, frozen=True, kw_only=True):
    """When a question is about."""

    at: int | None = None
    position: int | None = None


class AskFrame(Moment, frozen=True, tag="frame", kw_only=True):
    """The whole picture -> `words.Frame`."""


class AskCells(Question, frozen=True, tag="cells"):
    """This cell in one line -> `words.Cells`."""


class AskProcesses(Question, frozen=True, tag="processes"):
    """-> `words.Processes`."""


class AskSales(Moment, frozen=True, tag="sales", kw_only=True):
    """Sales in a state, whose title or an id contains `q` -> `words.Sales`."""

    state: str = ""
    q: str = ""
    limit: int = DEFAULT_LIMIT
    cursor: str = ""


class AskSale(Moment, frozen=True, tag="sale", kw_only=True):
    """One sale -> `words.SaleDetail`. Declined with `not_found`."""

    id: str


class AskOrders(Moment, frozen=True, tag="orders", kw_only=True):
    """Among the newest 1,000 -> `words.Orders`. `q` is a part of an id."""

    sale: str = ""
    buyer: str = ""
    payment: str = ""
    q: str = ""
    limit: int = DEFAULT_LIMIT
    cursor: str = ""


class AskHolds(Moment, frozen=True, tag="holds", kw_only=True):
    """Among the newest 1,000 -> `words.Holds`. `q` is a part of an id."""

    sale: str = ""
    buyer: str = ""
    status: str = ""
    q: str = ""
    limit: int = DEFAULT_LIMIT
    cursor: str = ""


class AskRooms(Moment, frozen=True, tag="rooms", kw_only=True):
    """-> `words.Rooms`."""

    limit: int = MAX_LIMIT


class AskMessages(Moment, frozen=True, tag="messages", kw_only=True):
    """Among the newest 100 of the room of a sale, those before `s` -> `words.Messages`."""

    room: str
    before: int | None = None
    limit: int = DEFAULT_LIMIT


class AskLines(Question, frozen=True, tag="lines", kw_only=True):
    """Events of the log behind `after`, before `before`, or the newest -> `words.Lines`.

    `subject` is a pattern over `log.<slot>.<kind>.<key>`, with or without its `log.`; `type` is the name of an event.
    """

    after: int | None = None
    before: int | None = None
    limit: int = DEFAULT_LIMIT
    subject: str = ""
    type: str = ""


class AskCommit(Question, frozen=True, tag="commit"):
    """One commit, without what is secret -> `words.CommitDetail`. Declined with `not_found`."""

    position: int


class AskHealth(Question, frozen=True, tag="health"):
    """-> `words.Health`."""


Ask = (
    AskFrame
    | AskCells
    | AskProcesses
    | AskSales
    | AskSale
    | AskOrders
    | AskHolds
    | AskRooms
    | AskMessages
    | AskLines
    | AskCommit
    | AskHealth
)


# --- answers -------------------------------------------------------------------------------------------------------


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """`body` is the JSON of the struct that the question names."""

    body: bytes


class Declined(msgspec.Struct, frozen=True, tag="declined"):
    """`code` is in the table of `cells.kernel.errors`."""

    code: str
    detail: str = ""
    retry_after_ms: int | None = None


Answer = Answered | Declined

encode_ask = msgspec.msgpack.Encoder().encode
decode_ask = msgspec.msgpack.Decoder(Ask).decode
encode_answer = msgspec.msgpack.Encoder().encode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
