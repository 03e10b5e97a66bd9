"""Text of strangers, made inert: what is left of it means nothing to a terminal, a bidirectional line or a filter."""

import re
import unicodedata
from functools import lru_cache

MAX_CHARS = 2_000
# Stripping and composing shorten a text; what is longer than this is not looked at.
MAX_RAW_CHARS = 8_000

# Controls but tab and newline, soft hyphen, bidirectional marks, overrides and isolates, zero-width characters
# but the joiners that scripts and emoji need, invisible operators, annotations, tags, surrogates, non-characters.
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\uffff\U000e0000-\U000e0fff\U0001fffe\U0001ffff]"
)
_JOINERS = re.compile("[\u200c\u200d]")
_LINES = re.compile("\r\n?|[\u0085\u2028\u2029]")


def clean(text: str) -> str | None:
    """Return what is kept of a text, composed (NFC); None when that is not between 1 and `MAX_CHARS` characters."""
    if len(text) > MAX_RAW_CHARS:
        return None
    kept = _HIDDEN.sub("", _LINES.sub("\n", text))
    kept = _HIDDEN.sub("", unicodedata.normalize("NFC", kept)).strip()
    if not _JOINERS.sub("", kept) or len(kept) > MAX_CHARS:
        return None
    return kept


def folded(text: str) -> str:
    """Return a text in which case, width, ligatures and joiners make no difference."""
    wide = unicodedata.normalize("NFKC", _JOINERS.sub("", _HIDDEN.sub("", text)))
    return unicodedata.normalize("NFKC", wide.casefold())


def blocked(text: str, words: tuple[str, ...]) -> bool:
    """Tell whether a text has one of some folded words in it, as a word of its own."""
    return bool(words) and _pattern(words).search(folded(text)) is not None


@lru_cache(maxsize=256)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    listed = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{listed})(?!\w)")
