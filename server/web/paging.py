"""Parameters that lists have in common, as types of handlers' arguments."""

from typing import Annotated

from litestar.params import Parameter

from server.web import cursors

AFTER_SECONDS = 2.0
"""How long a list waits for the position of `After`."""

MAX_POSITION = 2**53

# Litestar leaves a bound of 0 out of the document, unless it is told twice.
_FROM_ZERO = {"minimum": 0}

Limit = Annotated[int, Parameter(ge=1, le=cursors.MAX_LIMIT, description="most items of a page")]
Cursor = Annotated[
    str | None, Parameter(max_length=cursors.MAX_CHARS, description="`next` of the page before")
]
After = Annotated[
    int | None,
    Parameter(
        ge=0,
        le=MAX_POSITION,
        description="log position that the answer has to include, of an own write",
        schema_extra=_FROM_ZERO,
    ),
]
Before = Annotated[
    int | None,
    Parameter(ge=0, le=MAX_POSITION, description="`next` of the page of newer ones", schema_extra=_FROM_ZERO),
]
