"""How an operator names a moment: a time of day, a date and time, so long ago, or a position in the log."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from admin_tui.replay import At, Position, Want

_AGO: Final = re.compile(r"-(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", re.ASCII)
_TIME: Final = re.compile(
    r"(?:(\d{4})-(\d\d)-(\d\d)[T ])?(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?(Z)?", re.ASCII
)
_POSITION: Final = re.compile(r"#?(\d{1,15})", re.ASCII)
HINT: Final = "a time (14:02:07), so long ago (-5m), or a position (4711)"


class BadMoment(ValueError):  # noqa: N818 - what was typed
    """The text names no moment; the message says what would."""


def moment(typed: str, now: int, zone: tzinfo | None) -> Want:
    """Read a moment; a time without a date is the last one that is not after `now`. Raises BadMoment.

    `zone` is the terminal's (None: the system's); a `Z` at the end means UTC.
    """
    typed = typed.strip()
    if found := _POSITION.fullmatch(typed):
        return Position(int(found[1]))
    if len(typed) > 1 and (found := _AGO.fullmatch(typed)):
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return At(max(0, now - 1000 * (3600 * hours + 60 * minutes + seconds)))
    if found := _TIME.fullmatch(typed):
        return At(_at(typed, found, now, UTC if found[8] else zone))
    raise BadMoment(f"{typed[:40]!r} is no moment. Name one as {HINT}.")


def _at(typed: str, found: re.Match[str], now: int, zone: tzinfo | None) -> int:
    year, month, day, hour, minute, second, fraction, _ = found.groups()
    today = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone)
    try:
        named = today.replace(
            hour=int(hour),
            minute=int(minute),
            second=int(second or 0),
            microsecond=1000 * int((fraction or "0").ljust(3, "0")),
        )
        if year is not None:
            named = named.replace(year=int(year), month=int(month), day=int(day))
        elif named > today:
            named -= timedelta(days=1)
        return max(0, round(named.timestamp() * 1000))
    except (ValueError, OverflowError, OSError) as error:
        raise BadMoment(f"{typed!r} is no time: {error}.") from error
