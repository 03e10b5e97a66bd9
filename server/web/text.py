"""Text that strangers write: what may be in it, as patterns that the decoder and the OpenAPI document share."""

from typing import Annotated

import msgspec

# Controls, soft hyphen, zero-width and bidirectional marks, line separators, non-characters.
_HIDDEN = (
    "\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    "\\ufeff\\ufff9-\\uffff"
)
# `$` alone would accept a newline behind the end.
_END = "$(?![\\s\\S])"

LINE_PATTERN = f"^[^{_HIDDEN}]*{_END}"
TITLE_PATTERN = f"^[^{_HIDDEN}\\s]([^{_HIDDEN}]*[^{_HIDDEN}\\s])?{_END}"
PROSE_PATTERN = f"^([^{_HIDDEN}]|[\\t\\n\\r])*{_END}"

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=TITLE_PATTERN)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=TITLE_PATTERN)]
Prose = Annotated[str, msgspec.Meta(max_length=10_000, pattern=PROSE_PATTERN)]
Reason = Annotated[str, msgspec.Meta(max_length=200, pattern=LINE_PATTERN)]
When = Annotated[str, msgspec.Meta(description="RFC 3339 in UTC with milliseconds")]
