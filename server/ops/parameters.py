"""Parameters of the operators' routes, as types of handlers' arguments."""

from typing import Annotated, Any

from litestar import Request
from litestar.params import Parameter, QueryParameter

from server.ops.asks import MAX_TEXT
from server.ops.words import HoldState, PaymentState, SaleState
from server.web.auth import BEARER, Actor, Role, requires
from server.web.paging import MAX_POSITION
from server.web.parameters import known_parameters
from server.web.text import LINE_PATTERN

MAX_ID = 64
MAX_AT = 2**53
_FROM_ZERO = {"minimum": 0}  # Litestar leaves a bound of 0 out of the document, unless it is told twice

At = Annotated[
    int | None,
    Parameter(
        ge=0,
        le=MAX_AT,
        description="epoch milliseconds: as of then, from the log; without it, as of now",
        schema_extra=_FROM_ZERO,
    ),
]
AtPosition = Annotated[
    int | None,
    QueryParameter(
        name="position",
        ge=0,
        le=MAX_POSITION,
        description="log position: as of then; wins over `at`",
        schema_extra=_FROM_ZERO,
    ),
]
After = Annotated[
    int | None,
    Parameter(ge=0, le=MAX_POSITION, description="what lies behind this position", schema_extra=_FROM_ZERO),
]
BeforePosition = Annotated[
    int | None,
    QueryParameter(
        name="before",
        ge=0,
        le=MAX_POSITION,
        description="what lies before this position",
        schema_extra=_FROM_ZERO,
    ),
]
Text = Annotated[
    str, Parameter(max_length=MAX_TEXT, pattern=LINE_PATTERN, description="a part of an id or of a title")
]
PartOfId = Annotated[str, Parameter(max_length=MAX_ID, pattern=LINE_PATTERN, description="a part of an id")]
OfSale = Annotated[
    str,
    QueryParameter(name="sale", max_length=MAX_ID, pattern=LINE_PATTERN, description="only of this sale"),
]
OfBuyer = Annotated[
    str,
    QueryParameter(name="buyer", max_length=MAX_ID, pattern=LINE_PATTERN, description="only this buyer's"),
]
InState = Annotated[SaleState | None, QueryParameter(name="state", description="only sales in this state")]
WithPayment = Annotated[
    PaymentState | None, QueryParameter(name="payment", description="only orders whose payment stands here")
]
WithStatus = Annotated[
    HoldState | None, QueryParameter(name="status", description="only holds that are this")
]
Subject = Annotated[
    str,
    Parameter(
        max_length=MAX_TEXT,
        pattern=r"^[A-Za-z0-9_.*>-]*$",
        description="a NATS pattern over `log.<slot>.<kind>.<key>`: `*` is one token, `>` the rest",
    ),
]
OfType = Annotated[
    str,
    QueryParameter(name="type", max_length=64, pattern="^[A-Za-z]*$", description="only events of this type"),
]
SaleId = Annotated[str, Parameter(max_length=MAX_ID)]

Asked = Request[Actor, Any, Any]

AUTH = ("unauthenticated", "token_expired", "forbidden")
WRITE = (
    *AUTH,
    "idempotency_key_required",
    "not_found",
    "conflict",
    "key_reused",
    "overloaded",
    "fenced",
    "outcome_unknown",
)


def for_(role: Role) -> dict[str, Any]:
    """Return what all routes for a rank of operators have in common."""
    return {"guards": [requires(role), known_parameters], "security": BEARER, "tags": ["operators"]}
