"""Where a page of a list ends: a number to sort by and an id, checked, because anyone can make a cursor."""

from typing import Annotated

import msgspec
from msgspec import Meta

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Key = Annotated[str, Meta(max_length=64, pattern="^[A-Za-z0-9_]*$")]


class Keyset(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last row of a page, as its cursor carries it."""

    number: Number
    key: Key


def position_of(after: Keyset | None) -> tuple[int | None, str | None]:
    """Return what a query compares with: nothing for the first page."""
    return (after.number, after.key) if after else (None, None)
