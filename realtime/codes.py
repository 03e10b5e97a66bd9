"""Every close code and every error code of the protocol, and what a client does about each."""

from enum import Enum
from typing import Final

import msgspec

# --- closing -------------------------------------------------------------------------------------


class Retry(Enum):
    """What a client does about a close."""

    STOP = "stop"  # the conversation is over
    RESUME = "resume"  # reconnect with full jitter, not before retry_ms, and resume
    REFRESH = "refresh"  # get a new access token, then resume


class CloseCode:
    """Close codes of this protocol: 40xx reconnect and resume, 44xx and 45xx never."""

    NORMAL: Final = 1000
    GOING_AWAY: Final = 1001
    INTERNAL: Final = 4000
    TOKEN_EXPIRED: Final = 4003
    SLOW: Final = 4008
    NO_PONG: Final = 4009
    DRAINING: Final = 4012
    OVERLOADED: Final = 4013
    EPOCH_CHANGED: Final = 4014
    RATE: Final = 4029
    BAD_FRAME: Final = 4400
    UNAUTHENTICATED: Final = 4401
    FORBIDDEN: Final = 4403
    UNKNOWN_PROTOCOL: Final = 4404
    TOO_MANY_SOCKETS: Final = 4409
    TOO_BIG: Final = 4413
    SESSION_REVOKED: Final = 4501


_RETRY_RANGES: Final = (
    (range(1000, 1002), Retry.STOP),
    (range(4003, 4004), Retry.REFRESH),
    (range(4000, 4100), Retry.RESUME),
    (range(4400, 4600), Retry.STOP),
)


def retry_of(code: int) -> Retry:
    """Answer what to do after a close with `code`; a code of no range is a lost connection."""
    for codes, retry in _RETRY_RANGES:
        if code in codes:
            return retry
    return Retry.RESUME


class CloseReason(msgspec.Struct, frozen=True, omit_defaults=True):
    """The close frame's reason, as JSON: how long to stay away."""

    retry_ms: int | None = None


def encode_reason(retry_ms: int | None) -> str:
    """Answer the reason of a close frame, far below the 123 bytes it may have."""
    return "" if retry_ms is None else f'{{"retry_ms":{retry_ms}}}'


def decode_reason(reason: str) -> CloseReason:
    """Answer what a close frame's reason says; one that is not ours says nothing."""
    try:
        return msgspec.json.decode(reason, type=CloseReason)
    except (ValueError, RecursionError):
        return CloseReason()


# --- errors --------------------------------------------------------------------------------------

ERRORS: Final[dict[str, bool]] = {
    # code -> temp: may the same command succeed later without being changed?
    "bad_request": False,
    "banned": False,
    "blocked_words": False,
    "conflict": True,
    "fenced": True,
    "forbidden": False,
    "key_reused": False,
    "limit_reached": False,
    "locked": True,
    "muted": True,
    "not_found": False,
    "outcome_unknown": True,
    "overloaded": True,
    "rate_limited": True,
    "slow_mode": True,
    "token_expired": False,
    "too_large": False,
    "unauthenticated": False,
    "unavailable": True,
    "unknown_command": False,
    "wrong_state": False,
}


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `e` of a refused command."""

    code: str
    temp: bool
    retry_ms: int | None = None


def error(code: str, retry_ms: int | None = None) -> ErrorBody:
    """Answer the body of a refusal. A code that is not of ERRORS is told as `forbidden`."""
    known = code if code in ERRORS else "forbidden"
    return ErrorBody(known, ERRORS[known], retry_ms)
